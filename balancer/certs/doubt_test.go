package certs

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// counted returns a Set of one directory whose reads are counted. What it remembers is its own.
func counted(t testing.TB, dir string) (s *Set, log *journal, reads *atomic.Int64) {
	t.Helper()
	s, log, reads = open(t, &Config{Dirs: []string{dir}}), &journal{}, &atomic.Int64{}
	s.start(slog.New(slog.NewTextHandler(log, nil)))
	m := newCache(100)
	m.load = func(f PairFile) (loaded, Errors) {
		reads.Add(1)
		return load(f)
	}
	s.dirs[0].memory = m
	return s, log, reads
}

// age lets a second pass for what is remembered of a base name.
func age(s *Set, base string) {
	e := s.dirs[0].memory.entry(s.dirs[0].path, base)
	now := *e.known()
	now.at = now.at.Add(-fresh)
	e.last.Store(&now)
}

// waiting is a connection whose handshake waits as it is told to.
type waiting struct {
	net.Conn
	wait func(time.Duration) bool
}

func (w waiting) Wait(d time.Duration) bool { return w.wait(d) }
func (w waiting) Aside(f func(), _ time.Duration) bool {
	f()
	return true
}

// mixed writes a certificate and a key that do not belong together, long enough ago to be trusted not to change.
func mixed(t testing.TB, dir, name string) {
	t.Helper()
	old := time.Now().Add(-time.Minute)
	for _, path := range []string{
		write(t, dir, name+".crt", certFor(t, ecKey(), life, name)), write(t, dir, name+".key", keyPEM(t, otherKey())),
	} {
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
}

// However many clients ask for a name whose files do not belong together, these are read a few times, and then not before
// they change.
func TestAMismatchedPairOfADirectoryIsReadAFewTimes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, log, reads := counted(t, dir)
	mixed(t, dir, "a.example.com")
	const clients = 50
	ask := func() {
		var all sync.WaitGroup
		for range clients {
			all.Go(func() {
				if c, err := choose(s, "a.example.com"); c != nil || err == nil || !strings.Contains(err.Error(), "does not belong") {
					t.Errorf("%v, %v", c, err)
				}
			})
		}
		all.Wait()
	}
	ask()
	if n := reads.Load(); n != swapTries {
		t.Errorf("%d clients have read the pair %d times, want %d", clients, n, swapTries)
	}
	for range 10 {
		age(s, "a.example.com")
		ask()
	}
	if n := reads.Load(); n != swapTries {
		t.Errorf("ten seconds later it was read %d times, want %d still", n, swapTries)
	}
	if text := log.take(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "does not belong to its certificate") {
		t.Errorf("the log says %q", text)
	}
	swap(t, filepath.Join(dir, "a.example.com.key"), keyPEM(t, ecKey()))
	age(s, "a.example.com")
	if c, err := choose(s, "a.example.com"); err != nil || c.Names[0] != "a.example.com" {
		t.Errorf("once the key belongs to it: %v, %v", c, err)
	}
	if n := reads.Load(); n != swapTries+1 {
		t.Errorf("the changed pair made it %d reads, want %d", n, swapTries+1)
	}
}

// A key that is a moment late is waited for as the connection waits, which may let others go on.
func TestAKeyThatIsOnItsWayIsWaitedForByTheConnection(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, log, reads := counted(t, dir)
	mixed(t, dir, "a.example.com")
	waits := 0
	conn := waiting{wait: func(time.Duration) bool {
		if waits++; waits == 3 {
			swap(t, filepath.Join(dir, "a.example.com.key"), keyPEM(t, ecKey()))
		}
		age(s, "a.example.com")
		return true
	}}
	c, err := s.Choose(&tls.ClientHelloInfo{ServerName: "a.example.com", Conn: conn})
	if err != nil || waits != 3 || reads.Load() != 4 {
		t.Errorf("%v, %v after %d waits and %d reads, want 3 and 4", c, err, waits, reads.Load())
	}
	if text := log.take(); text != "" {
		t.Errorf("of a swap that was only slow the log says %q", text)
	}

	mixed(t, dir, "b.example.com")
	conn.wait = func(time.Duration) bool { return false }
	if c, err := s.Choose(&tls.ClientHelloInfo{ServerName: "b.example.com", Conn: conn}); err == nil || reads.Load() != 5 {
		t.Errorf("a connection that is to end got %v after %d reads", c, reads.Load()-4)
	}
}

// BenchmarkChooseMismatched is what one of many clients costs that ask for a name whose files do not belong together.
func BenchmarkChooseMismatched(b *testing.B) {
	dir := b.TempDir()
	s, _, reads := counted(b, dir)
	mixed(b, dir, "a.example.com")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := choose(s, "a.example.com"); err == nil {
			b.Fatal("a certificate")
		}
	}
	b.ReportMetric(float64(reads.Load()), "reads")
}

// What is remembered of broken pairs has the bound of what is remembered at all.
func TestWhatIsRememberedOfMismatchedPairsIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, _, _ := counted(t, dir)
	m := newCache(10)
	s.dirs[0].memory = m
	hurried := waiting{wait: func(time.Duration) bool { return false }}
	for i := range 15 {
		name := fmt.Sprintf("n%d.example.com", i)
		mixed(t, dir, name)
		if _, err := s.Choose(&tls.ClientHelloInfo{ServerName: name, Conn: hurried}); err == nil {
			t.Fatalf("%s has a certificate", name)
		}
	}
	if present, absent := m.present.order.Len(), m.absent.order.Len(); present != 10 || absent > 10 {
		t.Errorf("%d with files and %d without are remembered, want 10 and no more than 10", present, absent)
	}
}
