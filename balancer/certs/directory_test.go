package certs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

func full() bool { return os.Getenv("SWITCHYARD_PROMISES") == "1" }

// testTime is how long a test goes on that looks for a race.
func testTime() time.Duration {
	if full() {
		return 30 * time.Second
	}
	return 2 * time.Second
}

func choose(s *Set, name string) (*Choice, error) {
	return s.Choose(&tls.ClientHelloInfo{ServerName: name})
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
}

func TestABrokenFileOfADirectoryIsNoReasonForAnotherCertificate(t *testing.T) {
	t.Parallel()
	dir, pairs := t.TempDir(), t.TempDir()
	def := pairIn(t, pairs, "default", ecKey(), "fallback.example.net")
	def.Default = true
	s, log := open(t, &Config{Pairs: []PairFile{def}, Dirs: []string{dir}}), &journal{}
	s.start(slog.New(slog.NewTextHandler(log, nil)))
	write(t, dir, "empty.example.com.pem")
	write(t, dir, "other.example.com.pem", certFor(t, ecKey(), life, "elsewhere.example.com"), keyPEM(t, ecKey()))
	write(t, dir, "half.example.com.crt", certFor(t, ecKey(), life, "half.example.com"))
	write(t, dir, "_.wild.example.com.pem", certFor(t, ecKey(), life, "wild.example.com"), keyPEM(t, ecKey()))
	link(t, filepath.Join(pairs, "not there"), filepath.Join(dir, "link.example.com.pem"))
	link(t, filepath.Join(dir, "loop.example.com.crt"), filepath.Join(dir, "loop.example.com.crt"))
	chmod(t, write(t, dir, "open.example.com.pem", certFor(t, ecKey(), life, "open.example.com"), keyPEM(t, ecKey())), 0o644)
	for name, why := range map[string]string{
		"empty.example.com": "holds no certificate", "other.example.com": "is not for other.example.com",
		"half.example.com": "cannot be read: no such file or directory", "open.example.com": "may be read by others (mode 0644)",
		"x.wild.example.com": "is not for *.wild.example.com",
		"link.example.com":   "cannot be read: no such file or directory", "loop.example.com": "cannot be read: too many levels of symbolic links",
	} {
		c, err := choose(s, name)
		e, ok := errors.AsType[*Error](err)
		if c != nil || !ok || e.Part != PartDir || e.Why != why {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		if got := s.Covers(name); got != nil {
			t.Errorf("%s: with a default, Covers returns %v", name, got)
		}
	}
	if text := log.take(); strings.Count(text, "not taken") != 7 {
		t.Errorf("of seven files that are not good the log says %q", text)
	}
	if told := Refusals([]*Set{s, s}); len(told) != 1 || told[0].File != dir || !strings.HasSuffix(told[0].Why, ", and 6 more") {
		t.Errorf("refused are %v", told)
	}
}

// A certificate in a file with the name of another one is never shown, and told of, even where the wildcard is shown in its place.
func TestACertificateInTheFileOfAnotherOneIsToldOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		file  string
		names []string // of its certificate
		asked string
		shown string // the file of the certificate that is shown
		why   string // "": nothing is told
	}{
		{"beside the wildcard", "c.example.com.pem", []string{"a.example.com"}, "c.example.com", "_.example.com.pem", "is not for c.example.com"},
		{"with the wildcard, too", "c.example.com.pem", []string{"a.example.com", "*.example.com"}, "c.example.com", "c.example.com.pem", ""},
		{"for names below it, which nobody has asked for", "c.example.com.pem", []string{"*.c.example.com"}, "x.c.example.com", "c.example.com.pem", ""},
		{"for one name below it", "c.example.com.pem", []string{"x.c.example.com"}, "x.c.example.com", "default.crt", "is not for c.example.com"},
		{"the wildcard of another domain", "_.c.example.com.pem", []string{"*.example.com"}, "x.c.example.com", "", "is not for *.c.example.com"},
		{"the wildcard by its own name", "*.c.example.com.pem", []string{"*.c.example.com"}, "x.c.example.com", "*.c.example.com.pem", ""},
	} {
		dir := t.TempDir()
		s, log, _ := counted(t, dir)
		def := pairIn(t, t.TempDir(), "default", ecKey(), "fallback.example.net")
		def.Default = true
		with := open(t, &Config{Pairs: []PairFile{def}})
		s.pairs = with.pairs
		s.index.Store(with.index.Load())
		write(t, dir, "_.example.com.pem", certFor(t, ecKey(), life, "*.example.com"), keyPEM(t, ecKey()))
		write(t, dir, c.file, certFor(t, ecKey(), life, c.names...), keyPEM(t, ecKey()))
		shown := ""
		if got, err := choose(s, c.asked); err == nil {
			shown = filepath.Base(got.File)
		}
		if shown != c.shown {
			t.Errorf("%s: shown is %q, want %q", c.name, shown, c.shown)
		}
		text, told := log.take(), Refusals([]*Set{s})
		if c.why == "" {
			if text != "" || told != nil {
				t.Errorf("%s: told are %q and %v", c.name, text, told)
			}
			continue
		}
		if want := filepath.Join(dir, c.file) + " " + c.why; strings.Count(text, "\n") != 1 || !strings.Contains(text, c.why) || len(told) != 1 || told[0].Why != want {
			t.Errorf("%s: told are %q and %v; want %q", c.name, text, told, want)
		}
	}
}

// One that comes to be in it is not taken.
func TestACertificateForAnotherNameDoesNotTakeThePlaceOfAGoodOne(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, log, _ := counted(t, dir)
	path := write(t, dir, "a.example.com.pem", certFor(t, ecKey(), life, "a.example.com"), keyPEM(t, ecKey()))
	first, err := choose(s, "a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	swap(t, path, certFor(t, ecKey(), life, "b.example.com"), keyPEM(t, ecKey()))
	for range 3 {
		age(s, "a.example.com")
		if got, err := choose(s, "a.example.com"); got != first {
			t.Errorf("%v, %v", got, err)
		}
	}
	if text := log.take(); strings.Count(text, "not taken") != 1 || !strings.Contains(text, "is not for a.example.com") {
		t.Errorf("the log says %q", text)
	}
}

func TestADirectoryIsFollowed(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), &journal{}
	s := open(t, &Config{Dirs: []string{dir}})
	s.start(slog.New(slog.NewTextHandler(log, nil)))
	again := func() (*Choice, error) {
		forget(dir, "a.example.com")
		return choose(s, "a.example.com")
	}
	if _, err := again(); !errors.Is(err, ErrNone) {
		t.Fatalf("a name without a file: %v", err)
	}
	path := write(t, dir, "a.example.com.pem", certFor(t, ecKey(), life, "a.example.com"), keyPEM(t, ecKey()))
	first, err := again()
	if err != nil {
		t.Fatalf("a new file: %v", err)
	}
	swap(t, path, certFor(t, rsaKey(), life, "a.example.com"), keyPEM(t, rsaKey()))
	second, err := again()
	if err != nil || second == first || second.Key != "RSA 2048" {
		t.Fatalf("a changed file: %v, %v", second, err)
	}
	if third, _ := again(); third != second {
		t.Error("an unchanged file is another certificate")
	}
	log.take()
	swap(t, path, []byte("-----BEGIN"))
	for range 3 {
		if third, err := again(); third != second {
			t.Errorf("a broken file: %v, %v", third, err)
		}
	}
	if text := log.take(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "is damaged: block 1 (line 1) has no END") {
		t.Errorf("of a broken file the log says %q", text)
	}
	if e := Expiries([]*Set{s}); len(e) != 1 || e[0].File != dir || e[0].Name != "a.example.com" || !e[0].NotAfter.Equal(second.NotAfter) {
		t.Errorf("Expiries: %v", e)
	}
	remove(t, path)
	if _, err := again(); !errors.Is(err, ErrNone) {
		t.Errorf("a file that is gone: %v", err)
	}
	if e := Expiries([]*Set{s}); e != nil {
		t.Errorf("Expiries of a directory without certificates: %v", e)
	}
}

func TestADirectoryIsBelievedForASecond(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, &Config{Dirs: []string{dir}})
	_, _ = choose(s, "a.example.com")
	write(t, dir, "a.example.com.pem", certFor(t, ecKey(), life, "a.example.com"), keyPEM(t, ecKey()))
	start := time.Now()
	for {
		asked := time.Since(start) // however long the answer takes
		if _, err := choose(s, "a.example.com"); err == nil {
			break
		}
		if asked > 2*time.Second {
			t.Fatal("a new file was not found within two seconds")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Whatever a stranger asks for, what is remembered has a bound, and names without files drive out no certificate.
func TestTheMemoryOfDirectoriesIsBounded(t *testing.T) {
	t.Parallel()
	m := newCache(100)
	dir := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	const certificates = 150
	cert, key := certFor(t, ecKey(), life, "*.example.com"), keyPEM(t, ecKey())
	for i := range certificates {
		write(t, dir, fmt.Sprintf("n%d.example.com.pem", i), cert, key)
	}
	for i := range 5000 {
		if list := m.entry(dir, fmt.Sprintf("n%d.example.com", i)).look(log, newAsking(sleeper{})).list; (len(list) == 1) != (i < certificates) {
			t.Fatalf("n%d: %d certificates", i, len(list))
		}
	}
	if present, absent := m.present.order.Len(), m.absent.order.Len(); present != 100 || absent != 100 {
		t.Errorf("%d with certificates and %d without are remembered, want 100 each", present, absent)
	}
	if len(m.present.at) != 100 || m.present.get(filepath.Join(dir, "n149.example.com")) == nil || m.present.get(filepath.Join(dir, "n49.example.com")) != nil {
		t.Error("those that were asked for last are not those that are remembered")
	}
}

// A directory of many certificates: 100 000 at full size.
func TestADirectoryOfManyCertificatesIsReadWhenAskedFor(t *testing.T) {
	if testing.Short() {
		t.Skip("writes thousands of files")
	}
	n := 2 * maxEntries
	if full() {
		n = 100_000
	}
	dir := manyCertificates(t, n)
	best := time.Hour // of a few: a busy machine may have been elsewhere meanwhile
	for range 5 {
		start := time.Now()
		open(t, &Config{Dirs: []string{dir}})
		best = min(best, time.Since(start))
	}
	if best > 100*time.Millisecond {
		t.Errorf("opening took %v", best)
	}
	before := heap()
	s := open(t, &Config{Dirs: []string{dir}})
	start := time.Now()
	for i := range n {
		if c, err := choose(s, many(i)); err != nil || c.Names[0] != many(i) {
			t.Fatalf("%s: %v", many(i), err)
		}
	}
	took, grown := time.Since(start), heap()-before
	t.Logf("%d certificates: each read in %v at first, %.1f MiB of them in memory", n, took/time.Duration(n), float64(grown)/(1<<20))
	if grown > 64<<20 {
		t.Errorf("the certificates of a directory take %d MiB", grown>>20)
	}
	runtime.KeepAlive(s)
}

func many(i int) string { return fmt.Sprintf("host-%d.example.com", i) }

func manyCertificates(t testing.TB, n int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	key, chain := keyPEM(t, ecKey()), certFor(t, otherKey(), life, "intermediate", "and some more of what a real one has")
	for i := range n {
		write(t, dir, many(i)+".pem", certFor(t, ecKey(), life, many(i)), chain, key)
	}
	return dir
}

// heap is what is in use after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestADirectoryThatCannotBeReadIsNoName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, &Config{Dirs: []string{dir}})
	if err := os.Mkdir(filepath.Join(dir, "a.example.com.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := choose(s, "a.example.com"); err == nil || errors.Is(err, ErrNone) || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory in the place of a file: %v", err)
	}
}

// benchmarkChoose measures what the choice adds to a handshake.
func benchmarkChoose(b *testing.B, cfg *Config, name string) {
	s := open(b, cfg)
	hello := &tls.ClientHelloInfo{
		ServerName: name, SupportedVersions: []uint16{tls.VersionTLS13},
		SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PSSWithSHA256},
		SupportedCurves:  []tls.CurveID{tls.X25519},
		CipherSuites:     []uint16{tls.TLS_AES_128_GCM_SHA256},
	}
	b.ReportAllocs()
	for b.Loop() {
		_, _ = s.Choose(hello)
	}
}

func BenchmarkChoosePair(b *testing.B) {
	dir := b.TempDir()
	benchmarkChoose(b, &Config{Pairs: []PairFile{pairIn(b, dir, "a", ecKey(), "a.example.com")}}, "a.example.com")
}

func BenchmarkChooseOfDirectory(b *testing.B) {
	dir := b.TempDir()
	write(b, dir, "a.example.com.pem", certFor(b, ecKey(), life, "a.example.com"), keyPEM(b, ecKey()))
	benchmarkChoose(b, &Config{Dirs: []string{dir}}, "a.example.com")
}

func BenchmarkChooseUnknown(b *testing.B) {
	s := open(b, &Config{Dirs: []string{b.TempDir()}})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		_, _ = choose(s, fmt.Sprintf("x%d.example.com", i))
	}
}

func BenchmarkLookAtAPair(b *testing.B) {
	dir := b.TempDir()
	s := open(b, &Config{Pairs: []PairFile{pairIn(b, dir, "a", ecKey(), "a.example.com")}})
	old := time.Now().Add(-time.Hour)
	for _, f := range []string{s.cfg.Pairs[0].Cert, s.cfg.Pairs[0].Key} {
		_ = os.Chtimes(f, old, old)
	}
	s.refresh(time.Now())
	for b.Loop() {
		s.refresh(time.Now())
	}
}

// A file that is not good is told of once, whatever else is asked for meanwhile, and by the Set that is in force: a check of
// a configuration looks, too, and has no log.
func TestABrokenFileIsToldOfOnceByWhoIsInForce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, log, _ := counted(t, dir)
	checked := open(t, &Config{Dirs: []string{dir}})
	checked.dirs[0].memory = s.dirs[0].memory
	old := time.Now().Add(-time.Minute)
	both := func(name string, cert []byte) {
		t.Helper()
		path := write(t, dir, name, cert, keyPEM(t, ecKey()))
		if err := os.Chtimes(path, old, old); err != nil {
			t.Fatal(err)
		}
	}
	both("a.example.com.pem", []byte("no certificate"))
	both("b.example.com.pem", certFor(t, ecKey(), life, "b.example.com"))
	if _, err := choose(s, "b.example.com"); err != nil {
		t.Fatal(err)
	}
	both("b.example.com.pem", []byte("no certificate"))
	later := func(s *Set, name string) {
		t.Helper()
		age(s, name)
		if _, err := choose(s, name); (err == nil) != (name == "b.example.com") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for range 3 {
		later(checked, "a.example.com")
		later(checked, "b.example.com")
	}
	log.take()
	for range 3 {
		later(s, "a.example.com")
		later(s, "b.example.com")
		for i := range 200 { // more than are remembered
			if _, err := choose(s, fmt.Sprintf("n%d.example.net", i)); !errors.Is(err, ErrNone) {
				t.Fatal(err)
			}
		}
	}
	text := log.take()
	for _, name := range []string{"a.example.com.pem", "b.example.com.pem"} {
		if n := strings.Count(text, name); n != 1 {
			t.Errorf("%d lines about %s:\n%s", n, name, text)
		}
	}
}
