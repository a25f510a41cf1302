package balancer

import (
	"crypto/tls"
	"encoding/binary"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// began is a moment on the clock of package pool.
const began = int64(time.Hour)

// atRate is a table for so many handshakes a second.
func atRate(perSecond, burst int) *sources {
	return newSources(HandshakeRate{Every: time.Second / time.Duration(perSecond), Burst: burst})
}

// forged is one of very many sources.
func forged(i uint64) netip.Addr {
	b := [16]byte{0x20, 0x01}
	binary.BigEndian.PutUint32(b[4:], uint32(i))
	return netip.AddrFrom16(b)
}

func TestABurstPassesAndThenTheRate(t *testing.T) {
	t.Parallel()
	const ms = int64(time.Millisecond)
	for _, c := range []struct {
		name  string
		rate  HandshakeRate
		after []int64 // moments of handshakes, in milliseconds
		want  string  // "y" for those that pass
	}{
		{"one at once", HandshakeRate{Every: 100 * time.Millisecond, Burst: 1}, []int64{0, 0, 99, 100, 101, 200}, "ynnyny"},
		{"three at once", HandshakeRate{Every: 100 * time.Millisecond, Burst: 3}, []int64{0, 0, 0, 0, 99, 100, 100, 300, 300, 300}, "yyynnynyyn"},
		{"a pause gives the burst back, and no more", HandshakeRate{Every: 100 * time.Millisecond, Burst: 2}, []int64{0, 0, 0, 60_000, 60_000, 60_000}, "yynyyn"},
		{"what is refused costs nothing", HandshakeRate{Every: 100 * time.Millisecond, Burst: 1}, []int64{0, 1, 2, 3, 4, 5, 100}, "ynnnnny"},
		{"in step with the rate everything passes", HandshakeRate{Every: 100 * time.Millisecond, Burst: 1}, []int64{0, 100, 200, 300, 400}, "yyyyy"},
		{"a burst of none is one of one", HandshakeRate{Every: 100 * time.Millisecond, Burst: 0}, []int64{0, 0, 100}, "yny"},
		{"clocks of others may be behind", HandshakeRate{Every: 100 * time.Millisecond, Burst: 1}, []int64{100, 50, 150, 200}, "ynny"},
	} {
		table := newSources(c.rate)
		key, got := table.keyOf(netip.MustParseAddr("192.0.2.1")), ""
		for _, at := range c.after {
			if table.take(key, began+at*ms) {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != c.want {
			t.Errorf("%s: at %v got %s, want %s", c.name, c.after, got, c.want)
		}
	}
}

// R11, R29: a source at ten times its rate gets the rate, and a burst of a second: 1.1 times in ten seconds.
func TestASourceFarBeyondItsRateGetsTheRate(t *testing.T) {
	t.Parallel()
	const rate, seconds = 50, 10
	table, passed := atRate(rate, rate), 0
	key := table.keyOf(netip.MustParseAddr("192.0.2.1"))
	for i := range int64(10 * rate * seconds) {
		if table.take(key, began+i*int64(time.Second)/(10*rate)) {
			passed++
		}
	}
	if most := rate * seconds * 11 / 10; passed > most || passed < most-1 {
		t.Errorf("%d passed, want %d", passed, most)
	}
}

// R11: however many sources come, the table stays as it is, nobody within its rate is refused, and one that is far beyond
// it goes on being.
func TestAFloodOfForgedSourcesHarmsNobody(t *testing.T) {
	t.Parallel()
	const flood, seconds = 1_000_000, 10
	if size := reflect.TypeFor[[sourceSets][sourceWays]source]().Size(); size > 1<<20 {
		t.Errorf("the table takes %d bytes", size)
	}
	for _, c := range []struct {
		name  string
		rate  int  // a second, and at once
		bound bool // whether the one beyond its rate still gets no more than 1.1 times
	}{
		{"that come once", 50, true},
		{"that are all at their limit, more than fit", 1, false},
	} {
		table, rate := atRate(c.rate, c.rate), c.rate
		honest, loud := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:ffff::1")
		refused, passed := 0, 0
		for i := range int64(flood) {
			now := began + i*int64(seconds*time.Second)/flood
			if !table.take(table.keyOf(forged(uint64(i))), now) {
				t.Fatalf("%s: source %d is new and was refused", c.name, i)
			}
			if i%int64(flood/(rate*seconds)) == 0 && !table.take(table.keyOf(honest), now) {
				refused++
			}
			if i%int64(flood/(10*rate*seconds)) == 0 && table.take(table.keyOf(loud), now) {
				passed++
			}
		}
		t.Logf("%s: of %d of one beyond its rate %d passed", c.name, 10*rate*seconds, passed)
		if refused > 0 {
			t.Errorf("%s: an honest client was refused %d times", c.name, refused)
		}
		if most := rate * seconds * 11 / 10; c.bound && passed > most {
			t.Errorf("%s: %d of one beyond its rate passed, want at most %d", c.name, passed, most)
		}
	}
}

func TestWhoIsOneSource(t *testing.T) {
	t.Parallel()
	table := atRate(1, 1)
	for _, c := range []struct {
		name, a, b string
		same       bool
	}{
		{"the same IPv4 address", "192.0.2.1", "192.0.2.1", true},
		{"its neighbour", "192.0.2.1", "192.0.2.2", false},
		{"the same one mapped", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"one /64", "2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true},
		{"the next /64", "2001:db8:1:2::1", "2001:db8:1:3::1", false},
		{"one link, two zones", "fe80::1%a", "fe80::2%b", true},
		{"a prefix that looks like IPv4", "0.0.0.1", "::1", false},
	} {
		a, b := table.keyOf(netip.MustParseAddr(c.a)), table.keyOf(netip.MustParseAddr(c.b))
		if (a == b) != c.same {
			t.Errorf("%s: %s and %s are one source: %v", c.name, c.a, c.b, a == b)
		}
	}
}

func TestAnotherRateBeginsAnew(t *testing.T) {
	t.Parallel()
	var none *sources
	r := HandshakeRate{Every: time.Second, Burst: 1}
	if none.next(HandshakeRate{}) != nil || !none.allow(netip.MustParseAddr("192.0.2.1")) || !none.limit().Equal(HandshakeRate{}) {
		t.Error("without a rate there is a bound")
	}
	table := none.next(r)
	if table.next(r) != table {
		t.Error("the same rate has another table")
	}
	if other := table.next(HandshakeRate{Every: time.Second, Burst: 2}); other == table || other.limit().Burst != 2 {
		t.Error("another burst has the same table")
	}
	if table.next(HandshakeRate{}) != nil {
		t.Error("the bound stays when it is taken away")
	}
}

func TestExemptSourcesAreNeitherCountedNorRefused(t *testing.T) {
	t.Parallel()
	r := HandshakeRate{Every: time.Hour, Burst: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/25"), netip.MustParsePrefix("2001:db8::/48")}}
	table := newSources(r)
	for _, c := range []struct {
		addr   string
		exempt bool
	}{
		{"192.0.2.1", true}, {"192.0.2.127", true}, {"::ffff:192.0.2.1", true}, {"2001:db8::1", true}, {"2001:db8:0:ffff::1", true},
		{"192.0.2.128", false}, {"::ffff:192.0.2.129", false}, {"2001:db8:1::1", false}, {"::c000:201", false},
	} {
		addr := netip.MustParseAddr(c.addr)
		if !table.allow(addr) {
			t.Errorf("%s: its first is refused", c.addr)
		}
		if table.allow(addr) != c.exempt {
			t.Errorf("%s: exempt is %v", c.addr, !c.exempt)
		}
	}
}

// Who is exempt changes while what others have used stays counted.
func TestOthersExemptCountOn(t *testing.T) {
	t.Parallel()
	r := HandshakeRate{Every: time.Hour, Burst: 1}
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("198.51.100.1")
	table := newSources(r)
	table.allow(a)
	table.allow(b)
	r.Exempt = []netip.Prefix{netip.PrefixFrom(a, 32)}
	with := table.next(r)
	if with == table || !with.limit().Equal(r) || with.next(r) != with {
		t.Fatalf("the table in force is for %+v", with.limit())
	}
	if !with.allow(a) || with.allow(b) {
		t.Error("who is exempt now is refused, or another one that has used its allowance is served")
	}
	r.Exempt = nil
	if with.next(r).allow(a) {
		t.Error("who is exempt no more has its allowance anew")
	}
}

// What one source gets does not depend on how many loops ask for it.
func TestLoopsShareTheAllowanceOfASource(t *testing.T) {
	t.Parallel()
	const burst, loops = 1000, 8
	table := atRate(1, burst)
	key := table.keyOf(netip.MustParseAddr("192.0.2.1"))
	table.take(key, began)
	var passed atomic.Int64
	passed.Add(1)
	var wg sync.WaitGroup
	for range loops {
		wg.Go(func() {
			for range burst {
				if table.take(key, began) {
					passed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	// Whoever loses eight races for one number in a row is served uncounted; that is seldom.
	if n := passed.Load(); n < burst || n > burst+burst/100 {
		t.Errorf("%d passed, want %d", n, burst)
	}
}

// While loops drive each other's sources out of one set, no source that is new is refused.
func TestPlacesThatMoveRefuseNobody(t *testing.T) {
	t.Parallel()
	const loops, each = 8, 20_000
	table := atRate(1, 1)
	var refused atomic.Int64
	var wg sync.WaitGroup
	for loop := range uint64(loops) {
		wg.Go(func() {
			for i := range uint64(each) {
				key := 1<<63 | (loop*each+i)*sourceSets // all of set 0
				if !table.take(key, began+int64(i)) {
					refused.Add(1)
				}
				table.take(key, began+int64(i)) // and is at its limit
			}
		})
	}
	wg.Wait()
	if n := refused.Load(); n > 0 {
		t.Errorf("%d new sources were refused", n)
	}
	for i := range table.sets[0] {
		if k := table.sets[0][i].key.Load(); k < 1<<63 {
			t.Errorf("place %d was left with key %d", i, k)
		}
	}
}

func TestALookAtASourceAllocatesNothing(t *testing.T) {
	table, i := atRate(50, 50), uint64(0)
	if n := testing.AllocsPerRun(1000, func() {
		i++
		table.allow(forged(i))
		table.allow(forged(0))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkSources is what a handshake pays for the bound, its clock included.
//
//	go test ./balancer -run '^$' -bench Sources
func BenchmarkSources(b *testing.B) {
	for _, bm := range []struct {
		name string
		rate HandshakeRate
		many uint64 // sources that take turns
	}{
		{"known", HandshakeRate{Every: time.Nanosecond, Burst: 1 << 30}, 1},
		{"refused", HandshakeRate{Every: time.Hour, Burst: 1}, 1},
		{"new", HandshakeRate{Every: time.Second, Burst: 50}, 1 << 32},
		{"exempt", HandshakeRate{Every: time.Hour, Burst: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("::/0")}}, 1},
		{"off", HandshakeRate{}, 1},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			table := newSources(bm.rate)
			for i := uint64(0); b.Loop(); i++ {
				table.allow(forged(i % bm.many))
			}
		})
	}
	b.Run("known/parallel", func(b *testing.B) {
		table := newSources(HandshakeRate{Every: time.Nanosecond, Burst: 1 << 30})
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				table.allow(forged(0))
			}
		})
	})
}

// greets makes a handshake for host: as src, if that is not "", by a PROXY header.
func greets(t testing.TB, r *running, src, host string, protos ...string) error {
	t.Helper()
	raw := dial(t, r.addr)
	defer raw.Close()
	if src != "" {
		to := "198.51.100.1:443"
		if netip.MustParseAddrPort(src).Addr().Is6() {
			to = "[2001:db8::443]:443"
		}
		mustWrite(t, raw, header(t, 2, src, to))
	}
	return tls.Client(raw, &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: protos}).Handshake()
}

// R29: beyond its rate a source is reset where TLS ends here; hosts that pass through, and all other sources, are not
// concerned; and a reload changes it for the next hello.
func TestASourceBeyondItsRateIsResetWhereTLSEnds(t *testing.T) {
	t.Parallel()
	const through = "through.example.com"
	passing, _ := tlsEcho(t, through)
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), testPool("pool", echo(t)))
	cfg.Routes = append(cfg.Routes, route.Route{Name: "through", Hosts: []string{through}, Action: toPool("through")})
	cfg.Pools = append(cfg.Pools, testPool("through", passing))
	cfg.Listeners[0].ProxyFrom, cfg.Listeners[0].ProxyOptional = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, true
	cfg.Handshakes = HandshakeRate{Every: time.Hour, Burst: 3}
	r := serve(t, cfg)
	refused := 0
	tries := func(step, src, host string, served int, last ...string) {
		t.Helper()
		for i := range served {
			if err := greets(t, r, src, host); err != nil {
				t.Errorf("%s: handshake %d: %v", step, i, err)
			}
		}
		for _, proto := range last {
			refused++
			if err := greets(t, r, src, host, proto); !isReset(err) {
				t.Errorf("%s: one more sees %v, and no reset", step, err)
			}
		}
	}
	tries("a burst, and then none, whatever the client says it is", "", carried, 3, "h2", "h2", certs.ChallengeProtocol)
	tries("the same client where TLS passes through", "", through, 10)
	tries("another one", "192.0.2.7:1000", carried, 3, "h2")
	tries("an IPv6 one", "[2001:db8::1]:1000", carried, 3, "h2")
	tries("another address of its /64", "[2001:db8::2]:1000", carried, 0, "h2")
	tries("another /64", "[2001:db8:0:1::1]:1000", carried, 3, "h2")
	r.closed(t, CauseHandshakeRate, uint64(refused))
	if st := r.Stats(); st.Terminate.Failed != 0 || !st.Handshakes.Equal(cfg.Handshakes) {
		t.Errorf("%d handshakes were begun that were not to be; the bound is %+v", st.Terminate.Failed, st.Handshakes)
	}
	for _, l := range r.lines(t, refused) {
		if l.Cause == "handshake_rate" && l.SNI != carried {
			t.Errorf("the line of one that was refused: %+v", l)
		}
	}

	before, next := r.State(), clone(cfg)
	next.Routes[1].Name = "renamed"
	r.reload(t, next)
	tries("after a change of something else", "", carried, 0, "h2")
	next = clone(next)
	next.Handshakes.Burst = 6
	if d := r.reload(t, next); !slices.Equal(d.Options, []string{"handshakes"}) {
		t.Errorf("the change is summed up as %q", d)
	}
	tries("with more allowed", "", carried, 6, "h2")
	next = clone(next)
	next.Handshakes.Exempt = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	if d := r.reload(t, next); !slices.Equal(d.Options, []string{"handshakes"}) {
		t.Errorf("the change is summed up as %q", d)
	}
	tries("one that is exempt, as the PROXY header tells it", "192.0.2.7:1000", carried, 20)
	tries("all others count on", "", carried, 0, "h2")
	p, err := r.PrepareState(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	tries("after a rollback", "", carried, 3, "h2")
	next = clone(next)
	next.Handshakes = HandshakeRate{}
	r.reload(t, next)
	tries("without a bound", "", carried, 10)
	r.closed(t, CauseHandshakeRate, uint64(refused))
	r.quiet(t)
}

// While the bound changes, what it allows at any time is served.
func TestTheRateChangesUnderTraffic(t *testing.T) {
	t.Parallel()
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), testPool("pool", echo(t)))
	r := serve(t, cfg)
	var wg sync.WaitGroup
	over := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-over:
					return
				default:
				}
				if _, err := talk(r.addr, &tls.Config{ServerName: carried}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 50 {
		next := clone(cfg)
		if i%2 == 0 {
			next.Handshakes = HandshakeRate{Every: time.Microsecond, Burst: 1000 + i}
		}
		r.reload(t, next)
		time.Sleep(2 * time.Millisecond)
	}
	close(over)
	wg.Wait()
	r.quiet(t)
}

// The bound of all handshakes comes, goes and comes back with the configuration; beyond it a handshake waits, or is told that
// there are too many.
func TestTheTotalOfHandshakesChangesWithTheConfiguration(t *testing.T) {
	t.Parallel()
	cfg := terminatedHost(carried, policyOf(t, terminate.Config{Certificates: certsFor(t, carried)}), testPool("pool", echo(t)))
	cfg.HandshakeEvery = time.Hour
	r := serve(t, cfg)
	tries := func(want Cause) {
		t.Helper()
		before := r.Stats().Listeners[0].Closed[want]
		_, err := talk(r.addr, &tls.Config{ServerName: carried})
		if (err == nil) != (want == CauseOK) {
			t.Errorf("the client got %v, want the end to be %s", err, want)
		}
		r.closed(t, want, before+1)
	}
	tries(CauseOK)
	tries(CauseHandshakeLimit)
	if every := r.Stats().Terminate.Budget.Every; every != time.Hour {
		t.Errorf("the bound is %v", every)
	}
	before, next := r.State(), *cfg
	next.HandshakeEvery = 0
	if d := r.reload(t, &next); !slices.Equal(d.Options, []string{"handshakes"}) {
		t.Errorf("the change is summed up as %q", d)
	}
	for range 5 {
		tries(CauseOK)
	}
	p, err := r.PrepareState(t.Context(), before)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(); err != nil {
		t.Fatal(err)
	}
	tries(CauseOK)
	tries(CauseHandshakeLimit)
	next.HandshakeEvery = 200 * time.Millisecond
	r.reload(t, &next)
	began := time.Now()
	for range 3 {
		tries(CauseOK)
	}
	if took := time.Since(began); took < 2*next.HandshakeEvery-50*time.Millisecond {
		t.Errorf("three handshakes took %v", took)
	}
	r.quiet(t)
}
