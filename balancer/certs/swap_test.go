package certs

import (
	"crypto"
	"crypto/tls"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A pair that is swapped by two renames is a mixed one between them. Whoever gets a mixed pair cannot finish the
// handshake, since the client checks the signature with the key of the certificate.
func TestPairsSwappedUnderHandshakesAreNeverMixed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	keys := []crypto.Signer{ecKey(), otherKey(), rsaKey()}
	combined := write(t, dir, "c.pem", certFor(t, ecKey(), life, "c.example.com"), keyPEM(t, ecKey()))
	s := open(t, &Config{Pairs: []PairFile{pairIn(t, dir, "a", ecKey(), "a.example.com"), {Cert: combined, Key: combined}}, Dirs: []string{dir}})
	write(t, dir, "d.example.com.crt", certFor(t, ecKey(), life, "d.example.com"))
	write(t, dir, "d.example.com.key", keyPEM(t, ecKey()))

	var all sync.WaitGroup
	stop := make(chan struct{})
	every := func(d time.Duration, do func(i int)) {
		all.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				case <-tick.C:
					do(i)
				}
			}
		})
	}
	var swaps, handshakes, tooEarly atomic.Int64
	var slowest atomic.Int64 // swap of the pair in the directory, in ns
	every(10*time.Millisecond, func(i int) {
		key := keys[i%len(keys)]
		for _, base := range []string{"a", "d.example.com"} {
			name := base[:1] + ".example.com"
			began := time.Now()
			swap(t, dir+"/"+base+".crt", certFor(t, key, life, name))
			time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond) // a mixed pair meanwhile
			swap(t, dir+"/"+base+".key", keyPEM(t, key))
			slowest.Store(max(slowest.Load(), int64(time.Since(began))))
		}
		swap(t, combined, keyPEM(t, key), certFor(t, key, life, "c.example.com"))
		swaps.Add(1)
	})
	every(time.Millisecond, func(int) { s.refresh(time.Now()) }) // a thousand times as often as a Keeper does
	every(time.Millisecond, func(int) { forget(dir, "d.example.com") })
	every(50*time.Millisecond, func(int) { drop(dir, "d.example.com") })
	seen := sync.Map{}
	for range 3 {
		every(10*time.Millisecond, func(int) {
			for _, name := range []string{"a.example.com", "c.example.com", "d.example.com"} {
				leaf, err := handshake(t, s, name, &tls.Config{})
				if err != nil && name == "d.example.com" && strings.Contains(err.Error(), "does not belong to its certificate") {
					tooEarly.Add(1)
					return
				} else if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				seen.Store(leaf.SerialNumber.String(), true)
				handshakes.Add(1)
			}
		})
	}
	certificates := func() (n int) {
		seen.Range(func(any, any) bool { n++; return true })
		return n
	}
	time.Sleep(testTime())
	for certificates() < 20 && !t.Failed() { // a busy machine takes its time
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	all.Wait()
	// A pair of a directory that was forgotten has none before it to show, and is waited for as long as a swap takes at the most.
	// Where this machine is slow with the swaps, one look after the other may fall into another one of them, once.
	if n, slow := tooEarly.Load(), time.Duration(slowest.Load()); n > 1 && slow < 100*time.Millisecond {
		t.Errorf("%d handshakes were refused for a pair that was on its way for %v", n, slow)
	}
	t.Logf("%d swaps of three pairs, %d handshakes with %d certificates", swaps.Load(), handshakes.Load(), certificates())
}

// forget lets the next handshake look at the files of a directory again.
func forget(dir, base string) {
	e := memory.entry(dir, base)
	if now := e.known(); now.at != (time.Time{}) {
		e.last.CompareAndSwap(now, &finding{list: now.list})
	}
}

// drop forgets all of a base name, as happens to one that is not asked for.
func drop(dir, base string) {
	memory.mu.Lock()
	defer memory.mu.Unlock()
	memory.present.remove(filepath.Join(dir, base))
}
