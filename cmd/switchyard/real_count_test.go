//go:build linux

package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/balancer"
)

// connectionCount is how many short connections the counting test makes.
func connectionCount() int64 {
	if testing.Short() {
		return 400
	}
	return 2500
}

// Every connection is counted once and logged once, with the same cause: accepted is what is open and what has ended.
func TestRealConnectionsAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	y, ca := stopYard(t, "{max: 10s}")
	sessions := y.hold(t, ca, 7)
	load := startLoad(t, y.addr, ca.Pool(), 8)
	previous := y.scrape(t)
	for load.good.Load() < connectionCount() && load.first.Load() == nil {
		now := y.scrape(t)
		// The counters of one scrape are read one after the other while they move; those of two scrapes are ordered.
		if closed, accepted := previous.sum("switchyard_connections_closed_total{"), now.sum("switchyard_connections_accepted_total{"); closed > accepted {
			t.Errorf("%v connections closed, and later only %v accepted", closed, accepted)
		}
		for name, before := range previous {
			if strings.HasPrefix(name, "switchyard_") && strings.Contains(name, "_total") && now[name] < before {
				t.Errorf("%s fell from %v to %v", name, before, now[name])
			}
		}
		previous = now
	}
	load.end()
	if err := load.first.Load(); err != nil {
		t.Fatalf("a client failed: %v", *err)
	}
	want := map[string]int{"ok": int(load.good.Load()), "no_route": 3, "no_sni": 2, "not_tls": 4, "bad_hello": 1}
	annoy(t, y.addr, want)

	var s series
	eventually(t, "all but the held sessions have ended", func() bool {
		s = y.scrape(t)
		return s[`switchyard_connections_active{listener="public"}`] == float64(len(sessions))
	})
	accepted, closed := s.sum("switchyard_connections_accepted_total{"), s.sum("switchyard_connections_closed_total{")
	if accepted != closed+float64(len(sessions)) {
		t.Errorf("accepted %v, closed %v and %d open: they do not add up", accepted, closed, len(sessions))
	}
	got := map[string]int{}
	for name, v := range s {
		if cause, ok := strings.CutPrefix(name, `switchyard_connections_closed_total{cause="`); ok && v > 0 {
			cause, _, _ = strings.Cut(cause, `"`)
			got[cause] = int(v)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("connections by cause in the metrics (-want +got):\n%s", diff)
	}

	for _, h := range sessions {
		if err := h.finish(); err != nil {
			t.Error(err)
		}
	}
	y.stop(t)
	want["ok"] += len(sessions)
	checkLog(t, y, want, int(s["switchyard_log_lines_dropped_total"]))
}

// annoy makes as many connections of each kind as want says, all of which are refused.
func annoy(t *testing.T, addr netip.AddrPort, want map[string]int) {
	t.Helper()
	for range want["no_route"] {
		refused(t, addr, &tls.Config{ServerName: "nobody.example.com"})
	}
	for range want["no_sni"] {
		refused(t, addr, &tls.Config{InsecureSkipVerify: true}) // without a name there is nothing to verify by
	}
	for range want["not_tls"] {
		send(t, addr, "GET / HTTP/1.1\r\n\r\n")
	}
	for range want["bad_hello"] {
		send(t, addr, "\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03")
	}
}

func refused(t *testing.T, addr netip.AddrPort, cfg *tls.Config) {
	t.Helper()
	if conn, err := tls.Dial("tcp", addr.String(), cfg); err == nil {
		conn.Close()
		t.Errorf("%q has got a session", cfg.ServerName)
	}
}

// send writes data and waits until the balancer has hung up.
func send(t *testing.T, addr netip.AddrPort, data string) {
	t.Helper()
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, data); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); err != nil {
		t.Errorf("after %q: %v, want an end of file", data, err)
	}
}

// checkLog wants the log to have a line for each connection, up to those that it says were left out, and in each
// line what belongs there.
func checkLog(t *testing.T, y *live, want map[string]int, dropped int) {
	t.Helper()
	known := map[string]bool{}
	for c := balancer.CauseNone + 1; c < balancer.NumCauses; c++ {
		known[c.String()] = true
	}
	got := map[string]int{}
	total := 0
	for _, e := range y.connections(t) {
		got[e.Cause]++
		total++
		if why := e.wrong(known); why != "" {
			t.Errorf("%s: %+v", why, e)
		}
	}
	if dropped == 0 {
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("connections by cause in the log (-want +got):\n%s", diff)
		}
	}
	all := 0
	for _, n := range want {
		all += n
	}
	if total+dropped != all {
		t.Errorf("%d lines and %d dropped, want %d together", total, dropped, all)
	}
}

// wrong returns what is wrong with the line of a connection, or "".
func (e *ended) wrong(known map[string]bool) string {
	client, err := netip.ParseAddrPort(e.Client)
	routed := e.Cause == "ok"
	switch {
	case !known[e.Cause]:
		return fmt.Sprintf("cause %q is not in the manual", e.Cause)
	case e.Time.IsZero() || time.Since(e.Time).Abs() > time.Hour:
		return "the time is not that of the end"
	case e.Level != "INFO" || e.Listener != "public":
		return "level or listener is not right"
	case err != nil || !client.Addr().IsLoopback():
		return "client is no address of a client"
	case routed && e.Duration == 0 || e.Duration < 0 || e.Hello < 0 || e.Dial < 0 || e.Hello > e.Duration || e.Dial > e.Duration:
		return "the durations do not fit each other"
	case routed && (e.SNI == "" || e.Route == "" || e.Pool == "" || e.Backend == "" || e.Hello == 0):
		return "a connection that was carried lacks where to"
	case routed && (e.BytesIn == 0 || e.BytesOut == 0):
		return "a connection that was carried has no bytes"
	case !routed && (e.Pool != "" || e.Backend != "" || e.BytesOut != 0):
		return "a connection that was refused has a backend"
	}
	return ""
}
