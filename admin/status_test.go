package admin

import (
	"encoding/json"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-23b4a313/switchyard/balancer"
)

func TestStatusIsTheCountersInWords(t *testing.T) {
	source := busy()
	source.stats.Handshakes = balancer.HandshakeRate{Every: 20 * time.Millisecond, Burst: 100}
	source.stats.Terminate.Budget.Every = 2500 * time.Microsecond
	s := newServer(t, source)
	ctl := changed()
	s.state.verbs.Store(&api{control: ctl})
	res, body := ask(s.unix, "GET", "/v1/status")
	if got := res.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("content type is %q", got)
	}
	var got Status
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatalf("%v in\n%s", err, body)
	}
	want := Status{
		Version: "v1.2.3", State: "ready", Started: time.Date(2026, 11, 1, 12, 0, 0, 500e6, time.UTC),
		Active: 40, Limit: 9900, LogDropped: 12, Panics: 1,
		Listeners: []ListenerStatus{{
			Name: "public", Addresses: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:443")}, Accepted: 1000, Active: 40, Closed: map[string]uint64{"ok": 950, "bad_hello": 10},
			Hello: Latency{Count: 963, Mean: 2.5 / 963, Median: 0.001 * 481.5 / 900, P99: 0.001 + 0.009*(963*0.99-900)/60},
		}},
		Pools: []PoolStatus{{
			Name: "web", Active: 40, Dial: Latency{Count: 15, Mean: 0.002, Median: 0.00075, P99: 0.001 + 0.009*(14.85-10)/5},
			Panic: true, Waiting: 5, Waited: Latency{Count: 6, Mean: 0.05 / 6, Median: 0.001 + 0.009*3/5, P99: 0.01},
			Handshakes: Handshakes{
				Answer:   Latency{Count: 960, Mean: 1.2 / 960, Median: 0.001 * 480 / 900, P99: 0.01},
				Versions: map[string]uint64{"1.3": 900, "1.2": 60}, Groups: map[string]uint64{"X25519MLKEM768": 600, "x25519": 300},
				PostQuantum: 600, Retries: 4, Alerts: map[string]uint64{"unrecognized_name": 3},
			},
			Backends: []BackendStatus{
				{Address: "10.0.0.1:443", Up: true, State: "up", Weight: 1, Active: 30, Total: 700, BytesIn: 5 << 20, BytesOut: 3 << 30,
					Since: timeOf(time.Date(2026, 11, 1, 12, 0, 3, 0, time.UTC)), Error: "connection failed: connection refused", Ejections: 2,
					Certificate: timeOf(time.Date(2027, 1, 30, 0, 0, 0, 0, time.UTC))},
				{Address: "[2001:db8::1]:443", State: "drain", Reason: "override", Weight: 3, Backup: true, Active: 10, Total: 260, Failures: 7, BytesIn: 1000, BytesOut: 2000},
			},
		}},
		Attempts: 970, ConnectFailures: 4, AnswerFailures: 3, Config: &ctl.status,
		RefusedFiles: 1, RefusedList: []RefusedFile{{File: "/etc/switchyard/clients.pem", Error: "it holds no certificate"}},
		Overlaps: 1, OverlapsList: []balancer.Overlap{{
			Listener: "public", Route: "www", Pool: "web", Name: "*.example.com", Host: "api.example.com", OtherRoute: "api", OtherPool: "api",
		}},
		Handshakes: &HandshakeBounds{Total: 400, PerSource: 50, Burst: 100},
	}
	if got.UptimeSeconds == 0 {
		t.Error("uptime is zero")
	}
	got.UptimeSeconds = 0
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(0, 5.1e-7), cmpopts.EquateComparable(netip.AddrPort{})); diff != "" {
		t.Errorf("/v1/status (-want +got):\n%s", diff)
	}
}

func TestStatusOfNothingHasEmptyLists(t *testing.T) {
	for name, src := range map[string]Source{"starting": nil, "no listener": &fakeSource{}} {
		if _, body := ask(newServer(t, src).unix, "GET", "/v1/status"); strings.Contains(body, "null") {
			t.Errorf("%s:\n%s", name, body)
		}
	}
}

func TestQuantile(t *testing.T) {
	cases := []struct {
		name   string
		bounds []float64
		counts []uint64
		q      float64
		want   float64
	}{
		{"middle of the only bucket", []float64{1}, []uint64{10, 0}, 0.5, 0.5},
		{"edge of a bucket", []float64{1, 2}, []uint64{5, 5, 0}, 0.5, 1},
		{"empty buckets are passed over", []float64{1, 2, 3}, []uint64{1, 0, 1, 0}, 0.99, 2.98},
		{"above the last bound there is no more to say", []float64{1, 2}, []uint64{0, 0, 9}, 0.5, 2},
		{"no bounds", nil, []uint64{4}, 0.5, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var n uint64
			for _, k := range c.counts {
				n += k
			}
			if got := quantile(&balancer.Histogram{Bounds: c.bounds, Counts: c.counts}, n, c.q); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("quantile %v of %v up to %v is %v, want %v", c.q, c.counts, c.bounds, got, c.want)
			}
		})
	}
}

func TestPageShowsWhatMatters(t *testing.T) {
	s := newServer(t, busy())
	s.state.verbs.Store(&api{control: changed()})
	res, body := ask(s.tcp, "GET", "/")
	for _, want := range []string{
		"version v1.2.3", "Listener public", "Pool web", "<td>bad_hello</td><td>10</td>", "[2001:db8::1]:443",
		">drain<", ">up<", "connection refused", "panic mode", "5 wait for a slot", "revision 12, in force since 2026-11-02 08:30:00 UTC", ", 1 changed at run time", "the last reload was refused", "5 MiB", "3 GiB", "1 of 2 backends up", "40 connections of 9900 (0 %)", "1 panics",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page does not say %q:\n%s", want, body)
		}
	}
	if p := res.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'none'") || strings.Contains(p, "unsafe") {
		t.Errorf("policy is %q", p)
	}
	for _, alien := range []string{"<script", "http://", "https://", "//cdn", "@import", "url("} {
		if strings.Contains(body, alien) {
			t.Errorf("the page holds %q", alien)
		}
	}
}

// The browser applies the style only if its hash is that of the policy, byte for byte.
func TestPageStyleIsSentAsItWasHashed(t *testing.T) {
	_, body := ask(newServer(t, busy()).tcp, "GET", "/")
	if !strings.Contains(body, "<style>"+pageStyle+"</style>") {
		t.Error("the template changes the style")
	}
}

func TestPageEscapesNames(t *testing.T) {
	evil := `<script>alert(1)</script>"'&`
	src := &fakeSource{stats: balancer.Stats{
		Listeners: []balancer.ListenerStats{{Name: evil}},
		Pools:     []balancer.PoolStats{{Name: evil, Backends: []balancer.BackendStats{{Address: evil}}}},
	}}
	_, body := ask(newServer(t, src).tcp, "GET", "/")
	if strings.Contains(body, "<script") || strings.Count(body, "&lt;script&gt;") != 3 {
		t.Errorf("names are not escaped:\n%s", body)
	}
}

func TestFormatBytes(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1 KiB", 1 << 20: "1 MiB", 999 << 10: "999 KiB", 1000 << 10: "0.977 MiB",
		3 << 29: "1.5 GiB", math.MaxUint64: "16 EiB",
	} {
		if got := FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestFormatSeconds(t *testing.T) {
	for s, want := range map[float64]string{0: "0s", 0.0000123456: "12.35µs", 0.0123456: "12.35ms", 1.23456: "1.23s", 3725.4: "1h2m5s"} {
		if got := formatSeconds(s); got != want {
			t.Errorf("formatSeconds(%v) = %q, want %q", s, got, want)
		}
	}
}
