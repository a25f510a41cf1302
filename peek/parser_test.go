package peek

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"testing"
)

func TestParserIsSmall(t *testing.T) {
	if got := reflect.TypeFor[Parser]().Size(); got > 64 {
		t.Errorf("Parser takes %d bytes, want at most 64", got)
	}
}

// feed gives wire to a parser byte by byte, as a slow client does. It fails the test if a
// shorter prefix is anything but incomplete.
func feed(t *testing.T, p *Parser, wire []byte, h *Hello) {
	t.Helper()
	for i := range wire {
		if err := p.Parse(wire[:i], h); err != ErrIncomplete {
			t.Fatalf("first %d of %d bytes: got %v, want incomplete\n%x", i, len(wire), err, wire)
		}
		if m := p.Missing(); m < 1 || m > len(wire)-i {
			t.Fatalf("first %d of %d bytes: says that %d are missing\n%x", i, len(wire), m, wire)
		}
		if h.Raw != nil || p.Consumed() != 0 {
			t.Fatalf("first %d of %d bytes: part of a hello\n%x", i, len(wire), wire)
		}
	}
	if err := p.Parse(wire, h); err != nil {
		t.Fatalf("all %d bytes: %v\n%x", len(wire), err, wire)
	}
	if p.Missing() != 0 || p.Consumed() != len(wire) {
		t.Fatalf("whole hello of %d bytes: %d missing, %d consumed", len(wire), p.Missing(), p.Consumed())
	}
}

// haproxy#3148, ingress-nginx#11424, caddy-l4#346: no prefix of a hello is decided on, and
// one read is not assumed to hold it all.
func TestEveryPrefixIsIncomplete(t *testing.T) {
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			want := mustParse(t, c.wire)
			var h Hello
			feed(t, new(Parser), c.wire, &h)
			if !reflect.DeepEqual(&h, want) {
				t.Errorf("byte by byte: got %+v, want %+v", h, want)
			}
			for i := range c.wire { // without history, and as two segments
				var p Parser
				if err := p.Parse(c.wire[:i], &h); err != ErrIncomplete {
					t.Fatalf("first %d bytes at once: %v", i, err)
				}
				if err := p.Parse(c.wire, &h); err != nil || !reflect.DeepEqual(&h, want) {
					t.Fatalf("cut at %d: got %v, %+v, want %+v", i, err, h, want)
				}
			}
		})
	}
}

func TestMissingIsExactOnceAnnounced(t *testing.T) {
	for _, size := range []int{200, maxRecordSize, maxRecordSize + 1, 40_000} {
		s := plainSpec(sni("a.example.com"))
		s.pad(size)
		wire := wireOf(s)
		var p Parser
		for i := recordHeaderSize + messageHeaderSize; i < len(wire); i++ {
			if err := p.Parse(wire[:i], new(Hello)); err != ErrIncomplete || p.Missing() != len(wire)-i {
				t.Fatalf("first %d of %d bytes: %v, %d missing", i, len(wire), err, p.Missing())
			}
		}
	}
}

// CVE-2026-32305: a hello split over records is the same hello, wherever it is cut.
func TestTwoRecordsCutAnywhere(t *testing.T) {
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			want := mustParse(t, c.wire)
			for cut := 1; cut < len(want.Raw); cut++ {
				wire := recordsAt(want.Raw, cut)
				var p Parser
				var h Hello
				if err := p.Parse(wire, &h); err != nil || !reflect.DeepEqual(&h, want) {
					t.Fatalf("cut at %d: got %v, %+v, want %+v", cut, err, h, want)
				}
				if p.Consumed() != len(wire) {
					t.Fatalf("cut at %d: consumed %d of %d", cut, p.Consumed(), len(wire))
				}
			}
		})
	}
}

// CVE-2026-32305 again: n records of one byte, of two, and so on.
func TestRecordsOfAnySize(t *testing.T) {
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			want := mustParse(t, c.wire)
			for n := 1; n < len(want.Raw); n += 1 + n/8 {
				h, err := ParseClientHello(records(want.Raw, n))
				if err != nil || !reflect.DeepEqual(&h, want) {
					t.Fatalf("records of %d bytes: got %v, %+v, want %+v", n, err, h, want)
				}
			}
			var h Hello
			feed(t, new(Parser), records(want.Raw, 1), &h)
			if !reflect.DeepEqual(&h, want) {
				t.Errorf("one-byte records, byte by byte: got %+v, want %+v", h, want)
			}
		})
	}
}

// CVE-2026-75595: the four bytes of the handshake header lie in two, three or four records.
func TestHandshakeHeaderSpansRecords(t *testing.T) {
	msg := plainSpec(sni("a.example.com"), alpn("h2")).message()
	for _, cuts := range [][]int{{1}, {2}, {3}, {4}, {1, 2}, {1, 3}, {2, 3}, {1, 4}, {1, 2, 3}, {1, 2, 3, 4}} {
		t.Run(fmt.Sprint(cuts), func(t *testing.T) {
			var h Hello
			feed(t, new(Parser), recordsAt(msg, cuts...), &h)
			if string(h.ServerName) != "a.example.com" || !h.ALPN.Contains("h2") {
				t.Errorf("got %q, %q", h.ServerName, h.ALPN)
			}
		})
	}
}

// inetaf/tcpproxy#40, ingress-nginx#11424: hellos of 5 KB, 17 KB and 64 KiB, of which a
// record holds 16 KiB.
func TestLongHellos(t *testing.T) {
	for _, size := range []int{5000, maxRecordSize, maxRecordSize + 1, 17_000, defaultMaxSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := plainSpec(sni("long.example.com"))
			s.pad(size)
			wire := records(s.message(), maxRecordSize)
			var h Hello
			var p Parser
			for i := 0; i < len(wire); i += 1 + i/64 {
				if err := p.Parse(wire[:i], &h); err != ErrIncomplete {
					t.Fatalf("first %d bytes: %v", i, err)
				}
			}
			if err := p.Parse(wire, &h); err != nil || string(h.ServerName) != "long.example.com" || len(h.Raw) != size {
				t.Errorf("got %v, %q, %d bytes", err, h.ServerName, len(h.Raw))
			}
		})
	}
}

// R7, and sniproxy's trickle: what was seen is not read again. Whatever a linear parser is
// through with is overwritten before the next call, so that one which went back would
// stumble. Only the header of the current record and that of the message are left alone.
func TestTrickleReadsNothingTwice(t *testing.T) {
	const keep = recordHeaderSize + messageHeaderSize
	s := plainSpec(sni("slow.example.com"))
	s.pad(defaultMaxSize)
	wire := records(s.message(), maxRecordSize)
	seen := make([]byte, 0, len(wire))
	var p Parser
	var h Hello
	start := 0 // of the current record
	for i, b := range wire {
		if err := p.Parse(seen, &h); err != ErrIncomplete {
			t.Fatalf("first %d bytes: %v", i, err)
		}
		if i == start+recordHeaderSize+maxRecordSize { // a record is complete
			clear(seen)
			start = i
		}
		if i > start+keep {
			seen[i-1] = 0xff
		}
		seen = append(seen, b)
	}
	if err := p.Parse(wire, &h); err != nil || string(h.ServerName) != "slow.example.com" {
		t.Errorf("got %v, %q", err, h.ServerName)
	}
}

// R7 again: a caller that waits for what is Missing asks three times, whatever the size:
// with nothing, with the start of the message, with all of it.
func TestWaitingForMissingTakesThreeCalls(t *testing.T) {
	for _, size := range []int{200, maxRecordSize, defaultMaxSize} {
		s := plainSpec(sni("slow.example.com"))
		s.pad(size)
		wire := wireOf(s)
		var p Parser
		calls, enough := 0, 0
		err := ErrIncomplete
		for n := 0; n <= len(wire) && err == ErrIncomplete; n++ {
			if n < enough {
				continue
			}
			calls++
			err = p.Parse(wire[:n], new(Hello))
			enough = n + p.Missing()
		}
		if err != nil || calls != 3 {
			t.Errorf("%d bytes: %v after %d calls", size, err, calls)
		}
	}
}

// R31: nothing is allocated for a hello in one record, however it arrives, nor for what is
// refused, nor for what was only announced; a hello over records costs one copy.
func TestAllocations(t *testing.T) {
	long := plainSpec(sni("a.example.com"))
	long.pad(60_000)
	tooBig := plainSpec(sni("a.example.com"))
	tooBig.pad(defaultMaxSize + 1)
	var many []ext
	for i := range 1000 {
		many = append(many, ext{uint16(1000 + i), nil})
	}
	one := records(plainSpec(sni("a.example.com"), alpn("h2")).message(), maxRecordSize)
	several := records(long.message(), maxRecordSize)
	tests := []struct {
		name  string
		wire  []byte
		want  error
		whole bool
		count float64
	}{
		{"a hello in one record", one, nil, true, 0},
		{"a hello in one record, byte by byte", one, nil, false, 0},
		{"a post-quantum hello", postQuantumHello(), nil, true, 0},
		{"a hello with a thousand extensions", records(plainSpec(many...).message(), maxRecordSize), nil, true, 0},
		{"a hello over four records", several, nil, true, 1},
		{"a hello over many records, byte by byte", records(plainSpec(sni("a.example.com")).message(), 3), nil, false, 1},
		{"60 000 bytes announced, a record there", several[:maxRecordSize+100], ErrIncomplete, true, 0},
		{"too much announced", records(tooBig.message(), 100), ErrTooBig, true, 0},
		{"plain text", []byte("GET / HTTP/1.1\r\n\r\n"), ErrNotTLS, true, 0},
		{"an empty record", []byte{22, 3, 1, 0, 0}, &SyntaxError{"empty record", 3}, true, 0},
		{"two names", records(plainSpec(sni("a.example.com", "b.example.com")).message(), maxRecordSize),
			&SyntaxError{"more than one server_name", 86}, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Parser
			var h Hello
			var err error
			got := testing.AllocsPerRun(20, func() {
				p = Parser{}
				for i := 0; !tt.whole && i < len(tt.wire); i++ {
					_ = p.Parse(tt.wire[:i], &h)
				}
				err = p.Parse(tt.wire, &h)
			})
			if !reflect.DeepEqual(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got != tt.count {
				t.Errorf("%v allocations, want %v", got, tt.count)
			}
		})
	}
}

// The copy of a hello over records has its exact size; a hello in one record is no copy.
func TestWhoOwnsTheBytes(t *testing.T) {
	msg := plainSpec(sni("a.example.com")).message()
	wire := records(msg, maxRecordSize)
	if h := mustParse(t, wire); &h.Raw[0] != &wire[recordHeaderSize] || cap(h.Raw) != len(msg) {
		t.Error("a hello in one record is not the input itself, cut to size")
	}
	wire = records(msg, 50)
	h := mustParse(t, wire)
	clear(wire)
	if !bytes.Equal(h.Raw, msg) || cap(h.Raw) != len(msg) {
		t.Errorf("a hello over records is not a copy of its %d bytes: len %d, cap %d", len(msg), len(h.Raw), cap(h.Raw))
	}
}

// TestRecordErrors: what is wrong outside the message, the number of bytes after which it
// is known, and what is said from there on, whether the bytes come one by one or at once.
func TestRecordErrors(t *testing.T) {
	msg := plainSpec(sni("a.example.com")).message()
	wire := records(msg, maxRecordSize)
	part := func(n int) []byte { return record(recordHandshake, msg[:n]) }
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	syntax := func(what string, at int) error { return &SyntaxError{what, at} }
	tests := []struct {
		name  string
		wire  []byte
		known int
		want  error
	}{
		{"HTTP", []byte("GET / HTTP/1.1\r\n"), 1, ErrNotTLS},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.2\r\n"), 1, ErrNotTLS},
		{"an SSL 2.0 hello", []byte{0x80, 0x2e, 1, 3, 1, 0, 0x15}, 1, ErrNotTLS},
		{"a PROXY header from a peer that is not expected to send one", []byte("PROXY TCP4 192.0.2.1"), 1, ErrNotTLS},
		{"an alert", []byte{21, 3, 1, 0, 2, 2, 40}, 1, ErrNotTLS},
		{"a ChangeCipherSpec", []byte{20, 3, 3, 0, 1, 1}, 1, ErrNotTLS},
		{"application data", []byte{23, 3, 3, 0, 1, 0}, 1, ErrNotTLS},
		{"record version 0x02ff", []byte{22, 2, 255, 0, 1, 1}, 2, ErrNotTLS},
		{"DTLS", []byte{22, 0xfe, 0xfd, 0, 0}, 2, ErrNotTLS},
		{"an empty first record", []byte{22, 3, 1, 0, 0, 22, 3, 1}, 5, syntax("empty record", 3)},
		{"a record of 16 385 bytes", []byte{22, 3, 1, 0x40, 1, 1, 0}, 5, syntax("record longer than 16 KiB", 3)},
		{"a ServerHello", record(recordHandshake, handshake(2, msg[4:])), 6,
			syntax("handshake message is no ClientHello", 5)},
		{"a HelloRequest in two records", join(record(recordHandshake, []byte{0}), record(recordHandshake, []byte{0, 0, 0})), 6,
			syntax("handshake message is no ClientHello", 5)},
		{"an empty record inside the hello", join(part(10), []byte{22, 3, 1, 0, 0}), 20, syntax("empty record", 18)},
		{"an alert inside the hello", join(part(10), []byte{21, 3, 1, 0, 2, 1, 0}), 16,
			syntax("a record that is no handshake record", 15)},
		{"application data inside the hello", join(part(2), []byte{23, 3, 1, 0, 2}), 8,
			syntax("a record that is no handshake record", 7)},
		{"another version inside the hello", join(part(10), []byte{22, 4, 1, 0, 2}), 17, syntax("unknown record version", 16)},
		{"a second message in the record", record(recordHandshake, join(msg, []byte{20, 0, 0, 0})), 9,
			syntax("bytes after the hello in its last record", len(wire))},
		{"a byte too many in the last of two records", join(part(10), record(recordHandshake, join(msg[10:], []byte{0}))), 20,
			syntax("bytes after the hello in its last record", len(wire)+5)},
		{"a ClientHello of nothing", []byte{22, 3, 1, 0, 4, 1, 0, 0, 0}, 9, syntax("hello ends inside its version", 9)},
		{"65 533 bytes announced", []byte{22, 3, 1, 2, 0, 1, 0, 0xff, 0xfd}, 9, ErrTooBig},
		{"16 MB announced", []byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, 9, ErrTooBig},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range len(tt.wire) + 1 {
				want := tt.want
				if i < tt.known {
					want = ErrIncomplete
				}
				var fresh, slow Parser
				if err := fresh.Parse(tt.wire[:i], new(Hello)); !reflect.DeepEqual(err, want) {
					t.Errorf("first %d bytes at once: got %v, want %v", i, err, want)
				}
				if i > tt.known {
					continue
				}
				var err error
				for j := range i + 1 {
					err = slow.Parse(tt.wire[:j], new(Hello))
				}
				if !reflect.DeepEqual(err, want) {
					t.Errorf("first %d bytes one by one: got %v, want %v", i, err, want)
				}
			}
		})
	}
}

// TestBudget: MaxSize bounds the message, 64 record headers come on top, and what is past
// that is refused as soon as it is announced.
func TestBudget(t *testing.T) {
	sized := func(n int) []byte { s := plainSpec(sni("a.example.com")); s.pad(n); return s.message() }
	tests := []struct {
		name string
		max  int
		wire []byte
		want error
	}{
		{"the message may be as long as MaxSize", 1000, records(sized(1000), maxRecordSize), nil},
		{"and no longer", 1000, records(sized(1001), maxRecordSize), ErrTooBig},
		{"zero means 64 KiB", 0, records(sized(1<<16), maxRecordSize), nil},
		{"and so does less than zero", -1, records(sized(1<<16), maxRecordSize), nil},
		{"64 KiB and a byte", 0, records(sized(1<<16+1), maxRecordSize), ErrTooBig},
		{"64 records come on top", 6400, records(sized(6400), 100), nil},
		{"a 65th does not", 6400, records(sized(6400), 99), ErrTooBig},
		{"a shorter hello may take more", 6400, records(sized(1120), 1), nil},
		{"until it is all headers", 6400, records(sized(1121), 1), ErrTooBig},
		{"an ordinary hello in one-byte records", 0, records(sized(2200), 1), nil},
		{"a record longer than all that may come", 1000, []byte{22, 3, 1, 0x3e, 0x80}, ErrTooBig},
		{"more than a hello can be", 1 << 30, records(sized(1000), maxRecordSize), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := Parser{MaxSize: tt.max}
			var h Hello
			if err := p.Parse(tt.wire, &h); err != tt.want {
				t.Errorf("at once: got %v, want %v", err, tt.want)
			}
			var err error
			for i := 0; i <= len(tt.wire) && (err == nil || err == ErrIncomplete); i++ {
				if err = p.Parse(tt.wire[:i], &h); err == ErrIncomplete && i+p.Missing() > p.budget() {
					t.Fatalf("first %d bytes: wants %d more, over the budget of %d", i, p.Missing(), p.budget())
				}
			}
			if err != tt.want {
				t.Errorf("byte by byte: got %v, want %v", err, tt.want)
			}
			if p.MaxSize != tt.max {
				t.Errorf("MaxSize became %d", p.MaxSize)
			}
		})
	}
}

// fabio, and traefik#12842: what follows the hello is there still. Envoy 1.35.4 stumbled
// when more than 16 KB came at once.
func TestBytesAfterTheHelloAreNotConsumed(t *testing.T) {
	wire := records(plainSpec(sni("a.example.com")).message(), 40)
	early := record(23, make([]byte, maxRecordSize))
	var p Parser
	var h Hello
	b := bytes.Join([][]byte{wire, early, early}, nil)
	if err := p.Parse(b, &h); err != nil || p.Consumed() != len(wire) {
		t.Errorf("got %v, consumed %d, want %d", err, p.Consumed(), len(wire))
	}
	if err := p.Parse(bytes.Repeat([]byte("plain text "), 2000), &h); err != ErrNotTLS {
		t.Errorf("22 KB of plain text at once: %v", err)
	}
}

func TestParserStartsAnewAfterAnAnswer(t *testing.T) {
	good := records(plainSpec(sni("a.example.com")).message(), 50)
	var p Parser
	var h Hello
	for range 2 {
		feed(t, &p, good, &h)
		h = Hello{}
		if err := p.Parse([]byte("GET"), &h); err != ErrNotTLS || p.Consumed() != 0 {
			t.Errorf("plain text: %v, consumed %d", err, p.Consumed())
		}
		if err := p.Parse(good[:100], &h); err != ErrIncomplete {
			t.Errorf("half a hello: %v", err)
		}
		if err := p.Parse(good[:3], &h); err != ErrIncomplete || p.Missing() > len(good)-3 {
			t.Errorf("fewer bytes than before: %v, %d missing", err, p.Missing())
		}
		if err := p.Parse(good, &h); err != nil || string(h.ServerName) != "a.example.com" {
			t.Errorf("after fewer bytes than before: %v, %q", err, h.ServerName)
		}
		h = Hello{}
	}
}

// A name must not survive from an earlier hello, nor come out of a broken one.
func TestHelloIsClearedOnError(t *testing.T) {
	h := *mustParse(t, records(plainSpec(sni("old.example.com")).message(), maxRecordSize))
	broken := records(plainSpec(sni("new.example.com"), alpn("h2"), alpn("h2")).message(), maxRecordSize)
	var p Parser
	if _, ok := errors.AsType[*SyntaxError](p.Parse(broken, &h)); !ok || !reflect.DeepEqual(h, Hello{}) {
		t.Errorf("got %+v, want an empty hello", h)
	}
}

// The offset of a mistake is where it stands in the input, over records too.
func TestOffsetCountsTheInput(t *testing.T) {
	msg := plainSpec(sni("a.example.com"), alpn("")).message()
	at := bytes.Index(msg, []byte{0, extALPN, 0, 3})
	for n := 1; n <= len(msg); n++ {
		_, err := ParseClientHello(records(msg, n))
		want := &SyntaxError{"malformed ALPN extension", at + recordHeaderSize*(1+at/n)}
		if !reflect.DeepEqual(err, error(want)) {
			t.Errorf("records of %d bytes: got %v, want %v", n, err, want)
		}
	}
}

func TestParseMessage(t *testing.T) {
	msg := quicHello(t)
	var p Parser
	var h Hello
	for i := range msg {
		if err := p.ParseMessage(msg[:i], &h); err != ErrIncomplete || p.Missing() < 1 || p.Missing() > len(msg)-i {
			t.Fatalf("first %d of %d bytes: %v, %d missing", i, len(msg), err, p.Missing())
		}
	}
	if err := p.ParseMessage(msg, &h); err != nil || p.Consumed() != len(msg) {
		t.Fatalf("got %v, consumed %d of %d", err, p.Consumed(), len(msg))
	}
	if string(h.ServerName) != corpusName || !h.ALPN.Contains("h3") || h.JA4()[0] != 'q' {
		t.Errorf("got %q, %q, %s", h.ServerName, h.ALPN, h.JA4())
	}
}

func TestParseMessageErrors(t *testing.T) {
	msg := plainSpec(sni("a.example.com")).message()
	noName := plainSpec(sni("")).message()
	tests := []struct {
		name string
		b    []byte
		want error
	}{
		{"a ServerHello", []byte{2, 0}, &SyntaxError{"handshake message is no ClientHello", 0}},
		{"a byte after the hello", append(bytes.Clone(msg), 0), &SyntaxError{"bytes after the hello", len(msg)}},
		{"64 KiB announced", []byte{1, 1, 0, 0}, ErrTooBig},
		{"an empty name", noName, &SyntaxError{"empty server name", bytes.Index(noName, []byte{0, 0, 0, 5})}},
		{"records", records(msg, maxRecordSize), &SyntaxError{"handshake message is no ClientHello", 0}},
		{"half a header", msg[:2], ErrIncomplete},
		{"half a hello", msg[:50], ErrIncomplete},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p Parser
			if err := p.ParseMessage(tt.b, new(Hello)); !reflect.DeepEqual(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}
