package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNames(t *testing.T) {
	for _, test := range []struct {
		name, pattern string
		want          []string
	}{
		{"a plain name is one", "a.example", []string{"a.example"}},
		{"a range counts both ends", "h-{9..11}.example", []string{"h-9.example", "h-10.example", "h-11.example"}},
		{"a range of one", "h-{0..0}", []string{"h-0"}},
		{"a range at the start", "{1..2}.example", []string{"1.example", "2.example"}},
		{"a list of names", "b.example, a.example", []string{"b.example", "a.example"}},
		{"a list with patterns in it", "a,h-{8..10},b,c-{0..1}", []string{"a", "h-8", "h-9", "h-10", "b", "c-0", "c-1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			names, err := ParseNames(test.pattern)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i := range names.Len() {
				got = append(got, names.At(i))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("names of %q (-want +got):\n%s", test.pattern, diff)
			}
		})
	}
}

func TestNamesRefused(t *testing.T) {
	long := string(bytes.Repeat([]byte("a"), 254))
	for _, pattern := range []string{"", "a,", ",a", "a,h-{2..1}", "h-{1..0}", "h-{1}", "h-{1..", "h-{a..b}", "h-{-1..2}", long} {
		if names, err := ParseNames(pattern); err == nil {
			t.Errorf("%q: accepted as %d names", pattern, names.Len())
		}
	}
}

// helloInfo is what crypto/tls finds in a hello.
func helloInfo(t *testing.T, hello []byte) (found tls.ClientHelloInfo) {
	t.Helper()
	stop := errors.New("seen")
	server := tls.Server(&replay{in: bytes.NewReader(hello)}, &tls.Config{
		GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
			found = *info
			return nil, stop
		},
	})
	if err := server.HandshakeContext(context.Background()); !errors.Is(err, stop) {
		t.Fatalf("crypto/tls refuses the hello: %v", err)
	}
	return found
}

// serverReads is the name and the protocols in a hello.
func serverReads(t *testing.T, hello []byte) (name string, alpn []string) {
	t.Helper()
	info := helloInfo(t, hello)
	return info.ServerName, info.SupportedProtos
}

type replay struct {
	net.Conn
	in io.Reader
}

func (r *replay) Read(b []byte) (int, error)  { return r.in.Read(b) }
func (r *replay) Write(b []byte) (int, error) { return len(b), nil }
func (r *replay) Close() error                { return nil }

func newHellos(t *testing.T, pattern string, spec Spec, cut Cut) (*Hellos, Names) {
	t.Helper()
	names, err := ParseNames(pattern)
	if err != nil {
		t.Fatal(err)
	}
	hellos, err := NewHellos(names, spec, cut)
	if err != nil {
		t.Fatal(err)
	}
	return hellos, names
}

func TestHellosAreSoundAndCarryNameAndOrder(t *testing.T) {
	order := Order{Op: OpSend, Size: 1 << 40}
	for _, pattern := range []string{"host-{0..1234}.example.com", "host-{95..104}.example.com", "x", "single.example", "a,longer-{5..20}.b"} {
		for _, cut := range []Cut{{}, {Record: 1}, {Record: 37}, {Record: 38}, {Record: 500}} {
			hellos, names := newHellos(t, pattern, Spec{}, cut)
			for _, i := range []int{0, names.Len() / 100, names.Len() / 2, names.Len() - 1, 0} {
				hello := hellos.At(i, order)
				name, alpn := serverReads(t, hello)
				if name != names.At(i) || len(alpn) != 2 {
					t.Errorf("%s, %+v, name %d: crypto/tls reads %q %v, want %q", pattern, cut, i, name, alpn, names.At(i))
				}
				if got := OrderIn(hello); got != order {
					t.Errorf("%s, %+v: order %+v, want %+v", pattern, cut, got, order)
				}
				if n, err := HelloLen(hello); n != len(hello) || err != nil {
					t.Errorf("%s, %+v: length %d, %v, want %d", pattern, cut, n, err, len(hello))
				}
			}
		}
	}
}

func TestHelloIsThatOfTheClientAskedFor(t *testing.T) {
	for _, test := range []struct {
		name     string
		spec     Spec
		min, max int // bytes
		version  uint16
		groups   []tls.CurveID
	}{
		// What a browser sends with a post-quantum key share; a small hello would flatter a balancer.
		{"crypto/tls as it is", Spec{}, 1400, 2200, tls.VersionTLS13, nil},
		{"one group", Spec{Group: tls.X25519}, 150, 600, tls.VersionTLS13, []tls.CurveID{tls.X25519}},
		{"TLS 1.2 has no key share", Spec{Version: tls.VersionTLS12}, 100, 500, tls.VersionTLS12, nil},
		{"TLS 1.3 alone", Spec{Version: tls.VersionTLS13, Group: tls.X25519MLKEM768}, 1300, 2200, tls.VersionTLS13, []tls.CurveID{tls.X25519MLKEM768}},
	} {
		t.Run(test.name, func(t *testing.T) {
			hellos, _ := newHellos(t, "host-{0..9}.example.com", test.spec, Cut{})
			hello := hellos.At(3, Order{})
			info := helloInfo(t, hello)
			if len(hello) < test.min || len(hello) > test.max {
				t.Errorf("%d bytes, want %d to %d", len(hello), test.min, test.max)
			}
			if got := slices.Max(info.SupportedVersions); got != test.version {
				t.Errorf("offers up to %s, want %s", tls.VersionName(got), tls.VersionName(test.version))
			}
			if test.groups != nil && !slices.Equal(info.SupportedCurves, test.groups) {
				t.Errorf("groups %v, want %v", info.SupportedCurves, test.groups)
			}
		})
	}
}

func TestReplayedHelloStaysAsItWas(t *testing.T) {
	hello, err := captureHello(Spec{}.Config("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	recorded := append(slices.Clone(hello), "what the client sent after it"...)
	hellos, err := Replay([][]byte{recorded, split(hello, 100)}, Cut{})
	if err != nil || hellos.Len() != 2 {
		t.Fatal(err)
	}
	for i, want := range [][]byte{hello, split(hello, 100)} {
		if diff := cmp.Diff(want, hellos.At(i, Order{Op: OpEcho})); diff != "" {
			t.Errorf("hello %d (-want +got):\n%s", i, diff)
		}
	}
	for _, bad := range []string{"", "GET / HTTP/1.1\r\n", string(hello[:len(hello)-1])} {
		if _, err := Replay([][]byte{hello, []byte(bad)}, Cut{}); err == nil || !strings.Contains(err.Error(), "hello 2 of 2") {
			t.Errorf("%.10q: error %v, want one that names the second", bad, err)
		}
	}
}

func TestCutDividesTheHelloAndNothingElse(t *testing.T) {
	hello, err := captureHello(Spec{}.Config("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	const later = "early data"
	for _, size := range []int{1, 3, 4, 5, 37, 700, len(hello)} {
		got := Cut{Record: size}.InRecords(append(slices.Clone(hello), later...))
		want := append(split(hello, size), later...)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("records of %d bytes (-want +got):\n%s", size, diff)
		}
		if again := (Cut{Record: 1 << 14}).InRecords(split(hello, size)); !bytes.Equal(again, hello) {
			t.Errorf("put together again from records of %d bytes: not what it was", size)
		}
	}
	if got := (Cut{Record: 5}).InRecords([]byte("no hello")); string(got) != "no hello" {
		t.Errorf("what is no hello became %q", got)
	}
}

func TestSegments(t *testing.T) {
	for _, test := range []struct {
		name    string
		segment int
		want    []string
	}{
		{"all at once", 0, []string{"abcdefg"}},
		{"a rest at the end", 3, []string{"abc", "def", "g"}},
		{"larger than the whole", 9, []string{"abcdefg"}},
	} {
		var got []string
		for at := 0; at < 7; at += len(got[len(got)-1]) {
			got = append(got, string(Cut{Segment: test.segment}.Next([]byte("abcdefg"), at)))
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	// What a short write left goes out up to the same bounds.
	if got := (Cut{Segment: 3}).Next([]byte("abcdefg"), 4); string(got) != "ef" {
		t.Errorf("after 4 bytes: %q, want the rest of the second segment", got)
	}
}

// split cuts the one record of a hello into records of n bytes.
func split(hello []byte, n int) (cut []byte) {
	for body := hello[5:]; len(body) > 0; {
		part := body[:min(n, len(body))]
		cut = append(cut, 0x16, 3, 1, byte(len(part)>>8), byte(len(part)))
		cut = append(cut, part...)
		body = body[len(part):]
	}
	return cut
}

func TestHelloLen(t *testing.T) {
	hello, err := captureHello(Spec{}.Config("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 3, 4, 5, 700, len(hello)} {
		cut := split(hello, n)
		for end := range cut {
			if got, err := HelloLen(cut[:end]); got != 0 || err != nil {
				t.Fatalf("records of %d bytes, prefix of %d: %d, %v; want 0: not complete", n, end, got, err)
			}
		}
		if got, err := HelloLen(append(cut, "more"...)); got != len(cut) || err != nil {
			t.Errorf("records of %d bytes: %d, %v; want %d", n, got, err, len(cut))
		}
	}
	for _, bad := range []string{"GET / HTTP/1.1\r\n", "\x16\x03\x01\x00\x00", "\x16\x03\x01\x00\x04\x02\x00\x00\x00"} {
		if _, err := HelloLen([]byte(bad)); !errors.Is(err, ErrNotHello) {
			t.Errorf("%q: error %v, want ErrNotHello", bad, err)
		}
	}
}

func TestOrderOfAStrangersHelloIsTheZeroOne(t *testing.T) {
	hello, err := captureHello(Spec{}.Config("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	if got := OrderIn(hello); got != (Order{}) {
		t.Errorf("order %+v", got)
	}
}

func TestAnswer(t *testing.T) {
	want := AnswerTo([]byte("any hello"), 3)
	b := want.Bytes()
	if got, ok := ReadAnswer(b[:]); !ok || got != want {
		t.Errorf("answer %+v, %v; want %+v", got, ok, want)
	}
	if want.Length != 9 || want.Pool != 3 || want == AnswerTo([]byte("any hellp"), 3) {
		t.Errorf("answer %+v does not tell hellos apart", want)
	}
	// A ServerHello that a client of TLS 1.2 accepts as such: it goes on to wait for the next record.
	client := tls.Client(&replay{in: bytes.NewReader(b[:])}, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
	if err := client.Handshake(); !errors.Is(err, io.EOF) {
		t.Errorf("crypto/tls reads the answer: %v, want it to ask for more", err)
	}
	for i := range answerHead {
		bad := b
		bad[i] ^= 1
		if _, ok := ReadAnswer(bad[:]); ok {
			t.Errorf("byte %d changed: still an answer", i)
		}
	}
}

func TestHelloForANameAllocatesNothing(t *testing.T) {
	for _, cut := range []Cut{{}, {Record: 100}} {
		hellos, _ := newHellos(t, "a.example,host-{0..9998}.example.com", Spec{}, cut)
		i := 0
		if n := testing.AllocsPerRun(1000, func() { i++; hellos.At(i*7%10000, Order{Op: OpSend, Size: 9}) }); n != 0 {
			t.Errorf("%+v: %v allocations", cut, n)
		}
	}
}
