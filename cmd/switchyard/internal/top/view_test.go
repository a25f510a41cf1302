package top

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/control"
)

var start = time.Date(2026, 11, 24, 8, 30, 0, 0, time.Local)

// at is a sample taken so many seconds after the start, in which everything has happened n times.
func at(seconds int, n uint64) *Sample {
	return &Sample{
		At: start.Add(time.Duration(seconds) * time.Second),
		Status: admin.Status{
			Version: "v1.2.3", State: "ready", Started: start, UptimeSeconds: float64(seconds), Active: 3, Limit: 9900,
			Attempts: 3 * n, ConnectFailures: n,
			Listeners: []admin.ListenerStatus{{Name: "public", Accepted: 2 * n, Closed: map[string]uint64{"ok": n, "no_route": n / 2}}},
			Pools: []admin.PoolStatus{
				{Name: "web", Active: 3, Backends: []admin.BackendStatus{
					{Address: "10.0.0.1:443", Up: true, State: "unknown", Weight: 1, Active: 1, Total: n, BytesIn: 1024 * n, BytesOut: 2048 * n},
					{Address: "10.0.0.2:443", State: "drain", Weight: 3, Active: 2, Total: 4, Failures: n},
				}},
				{Name: "empty", Backends: []admin.BackendStatus{}},
			},
			Config: &control.Status{Revision: 12, Overlay: make([]control.OverlayEntry, 2), LastReload: control.LastReload{OK: true}},
		},
		Names: balancer.Names{
			Routed: []balancer.NameCount{
				{Name: "www.example.com", Count: n, Pool: "web", Last: start.Add(time.Duration(seconds-1) * time.Second)},
				{Name: "api.example.com", Count: 2 * n, Pool: "web", Last: start.Add(time.Duration(seconds-70) * time.Second)},
			},
			Unrouted: []balancer.NameCount{{Name: "unknown.example.org", Count: 7, Last: start}},
		},
	}
}

func screen(v *View, width, height int) string {
	var b strings.Builder
	for _, l := range v.Lines(width, height) {
		b.WriteString(l.Text + "\n")
	}
	return b.String()
}

func TestScreen(t *testing.T) {
	var v View
	if got := screen(&v, 80, 24); got != "waiting for the first answer\n" {
		t.Errorf("before anything is known: %q", got)
	}
	v.Add(at(100, 50))
	v.Add(at(102, 150))
	want := `switchyard v1.2.3  ready  up 1m42s  revision 12 +2 at run time  08:31:42
connections  100/s accepted  3 open of 9900  50 KiB/s in  100 KiB/s out
attempts     150/s begun  50/s not connected  0/s not answered
ended        50/s ok (150)  25/s no_route (75)

>POOLS by open
  pool  backends   open  conn/s    in/s    out/s  failures
  web   1 of 2 up     3      50  50 KiB  100 KiB       150
  empty 0 of 0 up     0       0     0 B      0 B         0

 BACKENDS by open
  pool backend      state     weight  open  conn/s    in/s    out/s  total  failures
  web  10.0.0.2:443 drain          3     2       0     0 B      0 B      4       150
  web  10.0.0.1:443 no check       1     1      50  50 KiB  100 KiB    150         0

 NAMES by conn/s
  name                pool  conn/s  total   idle
  api.example.com     web      100    300  1m10s
  www.example.com     web       50    150     1s
  unknown.example.org -          0      7  1m42s
`
	if diff := cmp.Diff(want, screen(&v, 0, 0)); diff != "" {
		t.Errorf("screen without bounds (-want +got):\n%s", diff)
	}
}

func TestScreenFits(t *testing.T) {
	var v View
	v.Add(at(1, 5))
	many := at(2, 10)
	for i := range 300 {
		many.Names.Unrouted = append(many.Names.Unrouted, balancer.NameCount{Name: fmt.Sprintf("n%d.example.com", i), Count: 1, Last: many.At})
	}
	v.Add(many)
	for width := 1; width < 120; width += 7 {
		for height := 1; height < 60; height++ {
			lines := v.Lines(width, height)
			if len(lines) > height {
				t.Fatalf("%d lines on a screen of %d", len(lines), height)
			}
			for _, l := range lines {
				if len(l.Text) > width {
					t.Fatalf("%d characters on a screen of %d: %q", len(l.Text), width, l.Text)
				}
			}
		}
	}
	if lines := v.Lines(80, 60); len(lines) != 60 || !strings.HasPrefix(lines[59].Text, "q quit") {
		t.Errorf("a screen of 60 lines has %d, the last is %q", len(lines), lines[len(lines)-1].Text)
	}
}

func TestKeysMoveTheView(t *testing.T) {
	var v View
	v.Add(at(1, 5))
	v.Add(at(2, 10))
	press := func(keys ...Key) {
		for _, k := range keys {
			if v.Press(k) {
				t.Fatalf("key %d ends it", k)
			}
		}
	}
	wants := func(what string, texts ...string) {
		t.Helper()
		got := screen(&v, 100, 22)
		for _, text := range texts {
			if !strings.Contains(got, text) {
				t.Errorf("%s: no %q in\n%s", what, text, got)
			}
		}
	}
	press(KeyNext, KeySort)
	wants("sorted", ">BACKENDS by conn/s")
	press(KeyPrevious, KeyPrevious)
	wants("the table before the first is the last", ">NAMES by conn/s")
	press(KeySort, KeySort, KeySort, KeySort)
	wants("orders come round again", ">NAMES by conn/s")
	press(KeyDown, KeyDown, KeyPageDown, KeyPageDown)
	wants("scrolled past the end", "unknown.example.org")
	press(KeyUp, KeyPageUp, KeyUp)
	wants("scrolled past the start", "api.example.com")
	press(KeyPause)
	v.Add(at(3, 1000))
	wants("paused", "PAUSED  switchyard", "08:30:02")
	press(KeyPause)
	v.Add(at(4, 1000))
	wants("goes on", "08:30:04")
	if !v.Press(KeyQuit) {
		t.Error("quit does not end it")
	}
}

func TestTroubleIsShownAndForgotten(t *testing.T) {
	var v View
	v.Add(at(1, 5))
	v.Fail(errors.New("nobody\x1b[2J answers"))
	if got := screen(&v, 80, 24); !strings.HasPrefix(got, `NO ANSWER ("nobody\x1b[2J answers")  switchyard v1.2.3`) {
		t.Errorf("screen begins with %.80q", got)
	}
	v.Add(at(2, 5))
	if got := screen(&v, 80, 24); !strings.HasPrefix(got, "switchyard") {
		t.Errorf("screen begins with %.80q", got)
	}
}

// A process that was started again counts from nothing: what its counters lack is no rate.
func TestRatesOfAnotherProcess(t *testing.T) {
	var v View
	v.Add(at(1, 500))
	next := at(2, 700)
	next.Status.Started = start.Add(time.Second)
	v.Add(next)
	if got := screen(&v, 80, 24); !strings.Contains(got, "connections  0/s accepted") {
		t.Errorf("after a restart:\n%s", got)
	}
	v.Add(at(2, 10))
	v.Add(at(3, 5))
	if got := screen(&v, 80, 24); !strings.Contains(got, "connections  0/s accepted") {
		t.Errorf("after a counter has shrunk:\n%s", got)
	}
}

func TestWhateverIsShownIsPrintableASCII(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	odd := func() string {
		b := make([]byte, r.IntN(300))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return string(b)
	}
	for range 200 {
		s := at(5, 5)
		s.Status.Version, s.Status.State = odd(), odd()
		s.Status.Pools[0].Name, s.Status.Pools[0].Backends[0].Address, s.Status.Pools[0].Backends[0].State = odd(), odd(), odd()
		s.Status.Listeners[0].Closed[odd()] = 3
		s.Names.Routed[0].Name, s.Names.Routed[1].Pool = odd(), odd()
		var v View
		v.Add(s)
		for _, l := range v.Lines(0, 0) {
			for _, c := range []byte(l.Text) {
				if c < ' ' || c > '~' {
					t.Fatalf("line %q has byte %#x", l.Text, c)
				}
			}
		}
	}
}

func TestKeysAreReadHoweverTheyAreCut(t *testing.T) {
	const typed = "p\x1b[A\x1b[B\x1bOC\x1b[5~x\x1b[6~\x1b[1;5H\t\x1bs\x1b[Z\x1b[D\x1b[200000000000000000000~ q\x03"
	want := []Key{KeyPause, KeyUp, KeyDown, KeyNext, KeyPageUp, KeyPageDown, KeyNext, KeySort, KeyPrevious, KeyPrevious}
	for size := 1; size <= len(typed); size++ {
		var k Keys
		var got []Key
		for rest := []byte(typed); len(rest) > 0; {
			n := min(size, len(rest))
			got = append(got, k.Read(rest[:n])...)
			rest = rest[n:]
		}
		if len(got) < len(want)+3 {
			t.Fatalf("%d bytes at a time: %v", size, got)
		}
		if diff := cmp.Diff(want, got[:len(want)]); diff != "" {
			t.Errorf("%d bytes at a time (-want +got):\n%s", size, diff)
		}
		if end := got[len(got)-3:]; end[0] != KeyPause || end[1] != KeyQuit || end[2] != KeyQuit {
			t.Errorf("%d bytes at a time: the last keys are %v", size, end)
		}
	}
}

func TestDrawing(t *testing.T) {
	var out strings.Builder
	term := &Terminal{out: &out}
	if err := term.Draw([]Line{{Text: "head", Head: true}, {Text: "row"}}); err != nil {
		t.Fatal(err)
	}
	term.Close()
	term.Close()
	want := "\x1b[H\x1b[1mhead\x1b[0m\x1b[K\r\nrow\x1b[K\x1b[J" + leaveScreen
	if got := out.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
