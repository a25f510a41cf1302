package acme

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"
)

func TestFailuresAreRememberedForADay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, a := memory{known: map[host]*failure{}}, host{"account", "a.example.com"}
		pause := func(want time.Duration) {
			t.Helper()
			if got := time.Until(m.of(a).next); got != want && (want > 0 || got > 0) {
				t.Errorf("the pause is %v, want %v", got, want)
			}
		}
		pause(0)
		for _, want := range []time.Duration{time.Minute, 2 * time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute} {
			m.failed(a, "refused")
			pause(want)
			time.Sleep(want)
			pause(0)
		}
		for range 100 {
			m.failed(a, "refused")
		}
		pause(6 * time.Hour)
		if f := m.of(host{"account", "b.example.com"}); f != (failure{}) {
			t.Errorf("another host: %+v", f)
		}
		if f := m.of(a); f.count != 105 || f.text != "refused" || time.Since(f.since) != 20*time.Minute {
			t.Errorf("after 105 failures: %+v", f)
		}
		time.Sleep(remembered)
		if f := m.of(a); f != (failure{}) {
			t.Errorf("after a day: %+v", f)
		}
		m.failed(a, "refused")
		pause(time.Minute)
		m.succeeded(a)
		pause(0)
	})
}

// A stop that comes in time is no failure; of what is stopped again and again nobody knows what the authority has made.
func TestOrdersThatAreCutShortAgainAndAgainCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, a := memory{known: map[host]*failure{}}, host{"account", "a.example.com"}
		for n, want := range []time.Duration{0, 0, time.Minute, 0, 0, 2 * time.Minute} {
			m.cutShort(a)
			if got := time.Until(m.of(a).next); got != want && (want > 0 || got > 0) {
				t.Errorf("after %d of them the pause is %v, want %v", n+1, got, want)
			}
			time.Sleep(want)
		}
	})
}

func TestFewPausesAreEndedByHand(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m, a := memory{known: map[host]*failure{}}, host{"account", "a.example.com"}
		if ended, refused := m.hasten(a); ended || refused {
			t.Error("there is none, and it was ended, or not")
		}
		for range mayAsk {
			m.failed(a, "refused")
			if ended, _ := m.hasten(a); !ended {
				t.Error("one goes on")
			}
			if ended, refused := m.hasten(a); ended || refused {
				t.Error("it has ended, and is ended again")
			}
		}
		m.failed(a, "refused")
		if ended, refused := m.hasten(a); ended || !refused {
			t.Error("too many are ended")
		}
		time.Sleep(time.Hour)
		m.failed(a, "refused")
		if ended, _ := m.hasten(a); !ended {
			t.Error("an hour later one goes on")
		}
	})
}

func TestTheMemoryOfFailuresIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := memory{known: map[host]*failure{}}
		at := func(n int) host { return host{"account", strconv.Itoa(n)} }
		for n := range mostFailures {
			m.failed(at(n), "refused")
			if n == 0 {
				time.Sleep(time.Second)
			}
		}
		m.failed(at(mostFailures), "refused")
		if len(m.known) != mostFailures || m.known[at(0)] != nil || m.known[at(mostFailures)] == nil {
			t.Errorf("%d hosts are remembered, and not the oldest one", len(m.known))
		}
		time.Sleep(remembered)
		m.failed(at(0), "refused")
		if len(m.known) != 1 {
			t.Errorf("a day later %d hosts are remembered", len(m.known))
		}
	})
}

// Two Managers that order from one authority for one account know of each other's failures.
func TestAHostIsThatOfAnAccount(t *testing.T) {
	base := Config{Directory: LetsEncrypt, Storage: t.TempDir(), Email: "a@example.com"}
	of := func(change func(*Config)) host {
		cfg := base
		change(&cfg)
		m, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return m.host("a.example.com")
	}
	same := of(func(*Config) {})
	for name, change := range map[string]func(*Config){
		"names": func(c *Config) { c.Names = []string{"b.example.com"} }, "key": func(c *Config) { c.Key = RSA2048 }, "challenge": func(c *Config) { c.HTTP = true },
	} {
		if of(change) != same {
			t.Errorf("with other %s it is another host", name)
		}
	}
	for name, change := range map[string]func(*Config){
		"authority": func(c *Config) { c.Directory = LetsEncryptStaging }, "storage": func(c *Config) { c.Storage = t.TempDir() },
		"account": func(c *Config) { c.Email = "" }, "binding": func(c *Config) { c.Binding.KeyID = "kid" },
	} {
		if of(change) == same {
			t.Errorf("with another %s it is the same host", name)
		}
	}
}
