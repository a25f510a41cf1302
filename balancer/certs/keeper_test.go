package certs

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// journal is a log to look into.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

// take returns what was logged since it was last called.
func (j *journal) take() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	defer j.buf.Reset()
	return j.buf.String()
}

// kept runs a test of a Set in force, in which time is as the test lets it pass.
func kept(t *testing.T, cfg func(dir string) *Config, do func(t *testing.T, s *Set, log *journal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := open(t, cfg(t.TempDir()))
		k := NewKeeper(slog.New(slog.NewTextHandler(log, nil)))
		defer k.Close()
		k.Keep([]*Set{s})
		synctest.Wait()
		do(t, s, log)
	})
}

// serial is that of the certificate for a name; "" if there is none.
func serial(s *Set, name string) string {
	c, err := s.Choose(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		return ""
	}
	return c.Certificate.Leaf.SerialNumber.String()
}

func TestAChangedPairIsTakenWithinTwoSeconds(t *testing.T) {
	certs, _ := synctestCerts(t)
	kept(t, func(dir string) *Config {
		return one(write(t, dir, "a.crt", certs["a"]), write(t, dir, "a.key", keyPEM(t, ecKey()))).ptr()
	}, func(t *testing.T, s *Set, log *journal) {
		f := s.cfg.Pairs[0]
		before := serial(s, "a.example.com")
		swap(t, f.Cert, certs["a renewed"])
		time.Sleep(2 * time.Second)
		after := serial(s, "a.example.com")
		if after == before || after == "" {
			t.Fatal("the renewed certificate was not taken")
		}
		if text := log.take(); !strings.Contains(text, "certificate taken") || strings.Count(text, "\n") != 1 {
			t.Errorf("the log says %q", text)
		}
		swap(t, f.Cert, certs["another key"])
		time.Sleep(5 * time.Second)
		if serial(s, "a.example.com") != after {
			t.Error("a certificate without its key was taken")
		}
		if text := log.take(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "does not belong to its certificate") {
			t.Errorf("of a pair that does not match, the log says %q", text)
		}
		swap(t, f.Key, keyPEM(t, otherKey()))
		time.Sleep(2 * time.Second)
		if got := serial(s, "a.example.com"); got == after || got == "" {
			t.Error("the pair was not taken once it was whole")
		}
		log.take()
		swap(t, f.Cert, certs["another name"])
		swap(t, f.Key, keyPEM(t, ecKey()))
		time.Sleep(2 * time.Second)
		if serial(s, "a.example.com") != "" || serial(s, "b.example.com") == "" {
			t.Error("the names of the new certificate are not those that are served")
		}
	})
}

func TestABrokenPairLeavesTheOldOneAndIsToldOnce(t *testing.T) {
	certs, key := synctestCerts(t)
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, f PairFile)
		why   string
	}{
		{"the key is gone", func(t *testing.T, f PairFile) { remove(t, f.Key) }, "cannot be read: no such file or directory"},
		{"the certificate is empty", func(t *testing.T, f PairFile) { swap(t, f.Cert) }, "holds no certificate"},
		{"others may read the key", func(t *testing.T, f PairFile) { chmod(t, f.Key, 0o644) }, "may be read by others (mode 0644)"},
		{"the certificate has expired", func(t *testing.T, f PairFile) { swap(t, f.Cert, certs["expired"]) }, "has expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept(t, func(dir string) *Config {
				return one(write(t, dir, "a.crt", certs["a"]), write(t, dir, "a.key", key)).ptr()
			}, func(t *testing.T, s *Set, log *journal) {
				before := serial(s, "a.example.com")
				f := s.cfg.Pairs[0]
				c.spoil(t, f)
				time.Sleep(time.Minute)
				if serial(s, "a.example.com") != before {
					t.Error("the old certificate is not served any more")
				}
				if text := log.take(); strings.Count(text, c.why) != 1 || strings.Count(text, "\n") != 1 || strings.Contains(text, `hint=""`) {
					t.Errorf("the log says %q", text)
				}
				if told := Refusals([]*Set{s, s}); len(told) != 1 || told[0].File != f.Cert && told[0].File != f.Key || !strings.Contains(told[0].Why, c.why) {
					t.Errorf("refused are %v", told)
				}
				swap(t, f.Cert, certs["a renewed"])
				swap(t, f.Key, key)
				time.Sleep(2 * time.Second)
				if told := Refusals([]*Set{s}); told != nil {
					t.Errorf("a good pair is refused: %v", told)
				}
				if got := serial(s, "a.example.com"); got == before || got == "" {
					t.Error("a good pair after it was not taken")
				}
			})
		})
	}
}

func TestAuthoritiesAreFollowedAndABrokenFileIsToldOnce(t *testing.T) {
	certs, _ := synctestCerts(t)
	kept(t, func(dir string) *Config {
		return &Config{CA: write(t, dir, "ca.crt", certs["a"])}
	}, func(t *testing.T, s *Set, log *journal) {
		first := s.Authorities()
		swap(t, s.cfg.CA, []byte("a comment\n"), certs["a"])
		time.Sleep(time.Minute)
		if text := log.take(); s.Authorities() != first || text != "" {
			t.Errorf("a comment is a change; the log says %q", text)
		}
		swap(t, s.cfg.CA, certs["a"], certs["a renewed"])
		time.Sleep(2 * time.Second)
		both := s.Authorities()
		if text := log.take(); both == first || both.Equal(first) || strings.Count(text, "authorities taken") != 1 {
			t.Errorf("a second authority was not taken; the log says %q", text)
		}
		swap(t, s.cfg.CA)
		time.Sleep(time.Minute)
		if text := log.take(); s.Authorities() != both || strings.Count(text, "holds no certificate") != 1 || strings.Count(text, "\n") != 1 {
			t.Errorf("of an empty file, the log says %q", text)
		}
		if told := Refusals([]*Set{s}); len(told) != 1 || told[0] != (Refusal{s.cfg.CA, "holds no certificate"}) {
			t.Errorf("refused are %v", told)
		}
		swap(t, s.cfg.CA, certs["a"], certs["a renewed"])
		time.Sleep(2 * time.Second)
		swap(t, s.cfg.CA, certs["a"], bytes.Replace(certs["a renewed"], []byte("M"), []byte("*"), 1))
		time.Sleep(time.Minute)
		if text := log.take(); s.Authorities() != both || strings.Count(text, "is damaged: block 2 (CERTIFICATE, line ") != 1 || strings.Count(text, "\n") != 1 {
			t.Errorf("of a file with a damaged authority, the log says %q", text)
		}
		swap(t, s.cfg.CA, certs["a"])
		time.Sleep(2 * time.Second)
		if told := Refusals([]*Set{s}); told != nil {
			t.Errorf("a good file is refused: %v", told)
		}
		if !s.Authorities().Equal(first) {
			t.Error("a good file after it was not taken")
		}
	})
}

// A reload refuses such files, too.
func TestAPairForOtherNamesIsNotTakenWhereAHostNeedsTheOld(t *testing.T) {
	certs, key := synctestCerts(t)
	const a, b = "a.example.com", "b.example.com"
	for _, c := range []struct {
		name   string
		hosts  []string
		pairs  [2]string // that there are at first; "": no second one
		then   [2]string
		def    bool   // all are defaults
		lost   string // host that would have none; "": all is taken
		served []string
	}{
		{"of another host", []string{a}, [2]string{"a"}, [2]string{"another name"}, false, a, []string{a}},
		{"in whatever case the host is written", []string{"A.example.com."}, [2]string{"a"}, [2]string{"another name"}, false, "A.example.com.", []string{a}},
		{"of another host beside the first", []string{a, b}, [2]string{"a", "another name"}, [2]string{"another name", "another name"}, false, a, []string{a, b}},
		{"two that change places", []string{a, b}, [2]string{"a", "another name"}, [2]string{"another name", "a"}, false, "", []string{a, b}},
		{"where another one is still there", []string{a}, [2]string{"a", "a renewed"}, [2]string{"another name", "a renewed"}, false, "", []string{a, b}},
		{"where there is a default", []string{a, ""}, [2]string{"a"}, [2]string{"another name"}, true, "", []string{a, b, ""}},
		{"where no host needs the old", []string{b}, [2]string{"another name"}, [2]string{"both"}, false, "", []string{a, b}},
		{"below a wildcard", []string{"*.example.com"}, [2]string{"a"}, [2]string{"another name"}, false, "", []string{b}},
		{"outside of a wildcard", []string{"*.example.com"}, [2]string{"a"}, [2]string{"elsewhere"}, false, "*.example.com", []string{a}},
	} {
		t.Run(c.name, func(t *testing.T) {
			kept(t, func(dir string) *Config {
				cfg := &Config{Hosts: c.hosts}
				for i, name := range c.pairs {
					if name != "" {
						base := string(rune('x' + i))
						cfg.Pairs = append(cfg.Pairs, PairFile{
							Cert: write(t, dir, base+".crt", certs[name]), Key: write(t, dir, base+".key", key), Default: c.def,
						})
					}
				}
				return cfg
			}, func(t *testing.T, s *Set, log *journal) {
				for i, f := range s.cfg.Pairs {
					swap(t, f.Cert, certs[c.then[i]])
				}
				time.Sleep(time.Minute)
				for _, name := range c.served {
					if serial(s, name) == "" {
						t.Errorf("there is no certificate for %q any more", name)
					}
				}
				text, refused := log.take(), 0
				if c.lost != "" {
					refused = 1
				}
				if n := strings.Count(text, "there would be no certificate for "+c.lost+`"`); n != refused || strings.Count(text, "not taken") != refused {
					t.Errorf("the log says %q", text)
				}
				swap(t, s.cfg.Pairs[0].Cert, certs["a renewed"])
				time.Sleep(2 * time.Second)
				if text := log.take(); refused == 1 && !strings.Contains(text, "certificate taken") {
					t.Errorf("of a good one after it, the log says %q", text)
				}
			})
		})
	}
}

func TestNamesMoveFromOnePairToAnotherInTheirTime(t *testing.T) {
	certs, key := synctestCerts(t)
	const a, b = "a.example.com", "b.example.com"
	kept(t, func(dir string) *Config {
		cfg := &Config{Hosts: []string{a, b}}
		for base, name := range map[string]string{"x": "a", "y": "another name"} {
			cfg.Pairs = append(cfg.Pairs, PairFile{Cert: write(t, dir, base+".crt", certs[name]), Key: write(t, dir, base+".key", key)})
		}
		return cfg
	}, func(t *testing.T, s *Set, log *journal) {
		dir := filepath.Dir(s.cfg.Pairs[0].Cert)
		swap(t, filepath.Join(dir, "x.crt"), certs["another name"])
		time.Sleep(time.Minute)
		if text := log.take(); strings.Count(text, "\n") != 1 {
			t.Errorf("of the first, the log says %q", text)
		}
		swap(t, filepath.Join(dir, "y.crt"), certs["a renewed"])
		time.Sleep(2 * time.Second)
		if text := log.take(); strings.Count(text, "certificate taken") != 2 || serial(s, a) == "" || serial(s, b) == "" {
			t.Errorf("of both, the log says %q", text)
		}
	})
}

// A certificate for later is taken when it is good, and at once where the present one is not.
func TestACertificateThatIsNotGoodYetWaits(t *testing.T) {
	t.Parallel()
	start := time.Now()
	soon := bornAt(t, ecKey(), start.Add(2*time.Hour), life, "a.example.com")
	for _, c := range []struct {
		name    string
		present []byte
		waits   bool
	}{
		{"beside a good one", certFor(t, ecKey(), life, "a.example.com"), true},
		{"beside one that ends before", certFor(t, ecKey(), 30*time.Minute, "a.example.com"), true},
		{"beside one that has expired", certFor(t, ecKey(), -time.Minute, "a.example.com"), false},
		{"beside another one for later", bornAt(t, ecKey(), start.Add(time.Hour), life, "a.example.com"), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir, log := t.TempDir(), &journal{}
			f := PairFile{Cert: write(t, dir, "a.crt", c.present), Key: write(t, dir, "a.key", keyPEM(t, ecKey())), AllowExpired: true}
			s := open(t, &Config{Pairs: []PairFile{f}})
			s.start(slog.New(slog.NewTextHandler(log, nil)))
			first := serial(s, "a.example.com")
			swap(t, f.Cert, soon)
			for range 3 {
				s.refresh(start.Add(time.Minute))
			}
			told := Refusals([]*Set{s})
			if waits := serial(s, "a.example.com") == first; waits != c.waits || waits != (len(told) == 1) {
				t.Errorf("it waits: %v; want %v; refused are %v", waits, c.waits, told)
			}
			if n := strings.Count(log.take(), "is not good before "); c.waits && n != 1 {
				t.Errorf("the log tells of it %d times", n)
			}
			s.refresh(start.Add(31 * time.Minute)) // after the end of the second one
			s.refresh(start.Add(2*time.Hour + time.Minute))
			if serial(s, "a.example.com") == first || Refusals([]*Set{s}) != nil {
				t.Errorf("it was not taken when it was good: %v", Refusals([]*Set{s}))
			}
		})
	}
}

func TestTheEndOfACertificateIsSpokenOfOnceADay(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), &journal{}
	s := open(t, one(write(t, dir, "a.crt", certFor(t, ecKey(), 20*24*time.Hour, "a.example.com")), write(t, dir, "a.key", keyPEM(t, ecKey()))).ptr())
	s.start(slog.New(slog.NewTextHandler(log, nil)))
	hour := time.Now()
	pass := func(days int) string {
		for range days * 24 {
			hour = hour.Add(time.Hour)
			s.refresh(hour)
		}
		return log.take()
	}
	if text := pass(13); text != "" {
		t.Errorf("a week before its end the log says %q", text)
	}
	if n := strings.Count(pass(7), "certificate expires soon"); n != 7 { // a third of its life
		t.Errorf("it was spoken of %d times, want 7", n)
	}
	if n := strings.Count(pass(1), "certificate has expired"); n != 1 {
		t.Errorf("that it has expired was told %d times", n)
	}
}

func TestWhatIsNotKeptIsNotLookedAtUntilItIsAgain(t *testing.T) {
	certs, key := synctestCerts(t)
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		s := open(t, one(write(t, dir, "a.crt", certs["a"]), write(t, dir, "a.key", key)).ptr())
		k := NewKeeper(nil)
		defer k.Close()
		k.Keep([]*Set{s, s})
		k.Keep(nil)
		synctest.Wait() // it may be looked at still
		before := serial(s, "a.example.com")
		swap(t, s.cfg.Pairs[0].Cert, certs["a renewed"])
		time.Sleep(time.Minute)
		if serial(s, "a.example.com") != before {
			t.Error("a set that is not in force was looked at")
		}
		k.Keep([]*Set{s})
		synctest.Wait()
		if serial(s, "a.example.com") == before {
			t.Error("a set that is in force again was not looked at right away")
		}
		k.Close()
		k.Keep([]*Set{s})
	})
}

func (c Config) ptr() *Config { return &c }

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// synctestCerts are certificates that are good in the bubble of a synctest, whose clock starts in 2000. The key is that of
// all but "another key".
func synctestCerts(t *testing.T) (certs map[string][]byte, key []byte) {
	t.Helper()
	certs = map[string][]byte{}
	synctest.Test(t, func(t *testing.T) {
		certs["a"] = certFor(t, ecKey(), life, "a.example.com")
		certs["a renewed"] = certFor(t, ecKey(), 2*life, "a.example.com")
		certs["another key"] = certFor(t, otherKey(), life, "a.example.com")
		certs["another name"] = certFor(t, ecKey(), life, "b.example.com")
		certs["both"] = certFor(t, ecKey(), life, "a.example.com", "b.example.com")
		certs["elsewhere"] = certFor(t, ecKey(), life, "a.example.net")
		certs["expired"] = certFor(t, ecKey(), -48*time.Hour, "a.example.com")
	})
	return certs, keyPEM(t, ecKey())
}

// counter counts how often it is followed.
type counter struct{ n atomic.Int64 }

func (c *counter) Follow(time.Time, *slog.Logger) { c.n.Add(1) }

func TestFollowersAreFollowedWhileTheyAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(nil)
		defer k.Close()
		stays, goes := &counter{}, &counter{}
		k.Keep(nil, stays, goes)
		synctest.Wait()
		if stays.n.Load() != 1 || goes.n.Load() != 1 {
			t.Errorf("right away they were followed %d and %d times", stays.n.Load(), goes.n.Load())
		}
		time.Sleep(5*interval + interval/2)
		k.Keep(nil, stays)
		synctest.Wait()
		time.Sleep(3 * interval)
		if stays.n.Load() < 9 || goes.n.Load() != 6 {
			t.Errorf("they were followed %d and %d times", stays.n.Load(), goes.n.Load())
		}
	})
}

// silent is a Follower whose file system does not answer.
type silent struct {
	asked   atomic.Int64
	answers chan struct{}
}

func (f *silent) Follow(time.Time, *slog.Logger) {
	f.asked.Add(1)
	<-f.answers
}

// Whoever's file system does not answer keeps nobody else's files from being followed, and is asked again once it does.
func TestAFileSystemThatDoesNotAnswerKeepsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(nil)
		hung, fine := &silent{answers: make(chan struct{})}, &silent{answers: make(chan struct{})}
		close(fine.answers)
		k.Keep(nil, hung, fine)
		time.Sleep(patience + 10*interval)
		if n := hung.asked.Load(); n != 1 {
			t.Errorf("who does not answer was asked %d times, want once", n)
		}
		before := fine.asked.Load()
		if before < 5 {
			t.Errorf("another was asked %d times in ten seconds", before)
		}
		close(hung.answers)
		time.Sleep(5 * interval)
		if n := hung.asked.Load(); n < 4 {
			t.Errorf("once it answers it was asked %d times in five seconds", n)
		}
		k.Close()
	})
}

// A stop waits for it no longer than the others do.
func TestAKeeperIsClosedWithoutAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKeeper(nil)
		hung := &silent{answers: make(chan struct{})}
		k.Keep(nil, hung)
		synctest.Wait()
		began := time.Now()
		k.Close()
		if took := time.Since(began); hung.asked.Load() != 1 || took > patience {
			t.Errorf("asked %d times, closed after %v", hung.asked.Load(), took)
		}
		close(hung.answers)
	})
}
