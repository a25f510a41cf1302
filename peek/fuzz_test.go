package peek

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

// addHellos seeds a fuzz target with real hellos and a few broken ones.
func addHellos(f *testing.F) {
	for _, c := range clients() {
		f.Add(c.wire)
	}
	g := newGenerator(7)
	for range 50 {
		f.Add(g.wire())
	}
}

// FuzzDifferential: name and ALPN as crypto/tls reads them, but for the listed classes.
func FuzzDifferential(f *testing.F) {
	addHellos(f)
	f.Fuzz(func(t *testing.T, wire []byte) {
		if _, wrong := disagreement(wire); wrong != "" {
			t.Errorf("%s\n%x", wrong, wire)
		}
	})
}

// CVE-2026-123640 and R31: no panic, the same answer however the bytes are cut into segments and a good
// hello into records, and no field from outside the message.
func FuzzParse(f *testing.F) {
	addHellos(f)
	f.Fuzz(func(t *testing.T, wire []byte) {
		before := bytes.Clone(wire)
		var whole, cut Parser
		var h, slow Hello
		err := whole.Parse(wire, &h)
		if !bytes.Equal(wire, before) {
			t.Fatal("the input was written to")
		}
		r := rand.New(rand.NewPCG(uint64(len(wire)), 1))
		err2 := segments(t, r, &cut, wire, &slow)
		if !reflect.DeepEqual(err, err2) || !reflect.DeepEqual(h, slow) || whole.Missing() != cut.Missing() {
			t.Fatalf("at once: %v, %+v; in segments: %v, %+v\n%x", err, h, err2, slow, wire)
		}
		if err != nil {
			if !reflect.DeepEqual(h, Hello{}) {
				t.Fatalf("%v with part of a hello: %+v", err, h)
			}
			return
		}
		checkInside(t, &h)
		var again Hello
		if err := new(Parser).Parse(randomRecords(r, h.Raw), &again); err != nil || !reflect.DeepEqual(h, again) {
			t.Fatalf("in other records: %v, %+v, want %+v\n%x", err, again, h, wire)
		}
		var message Hello
		if err := new(Parser).ParseMessage(h.Raw, &message); err != nil || !reflect.DeepEqual(h, message) {
			t.Fatalf("without records: %v, %+v, want %+v\n%x", err, message, h, wire)
		}
		_ = h.JA4()
	})
}

// segments parses wire in pieces of random sizes and returns the first answer.
func segments(t *testing.T, r *rand.Rand, p *Parser, wire []byte, h *Hello) error {
	for n := 0; n < len(wire); n += 1 + r.IntN(1+len(wire)/4) {
		err := p.Parse(wire[:n], h)
		if err != ErrIncomplete {
			return err
		}
		if m := p.Missing(); m < 1 || n+m > p.budget() {
			t.Fatalf("first %d bytes: %d missing\n%x", n, m, wire)
		}
	}
	return p.Parse(wire, h)
}

// randomRecords cuts msg into at most 64 records, so that none is too many.
func randomRecords(r *rand.Rand, msg []byte) []byte {
	var b []byte
	for i := 0; len(msg) > 0; i++ {
		n := min(1+r.IntN(len(msg)), maxRecordSize)
		if i > 50 {
			n = min(len(msg), maxRecordSize)
		}
		b = append(b, record(recordHandshake, msg[:n])...)
		msg = msg[n:]
	}
	return b
}

// checkInside reports a field that is no part of the message, or that a caller's append
// could grow over its neighbour.
func checkInside(t *testing.T, h *Hello) {
	for _, field := range [][]byte{h.ServerName, h.ALPN, h.Random, h.SessionID, h.CipherSuites, h.Compression, h.Extensions,
		h.Versions, h.Groups, h.KeyShares, h.SignatureAlgorithms, h.SessionTicket} {
		if len(field) != cap(field) || !bytes.Contains(h.Raw, field) {
			t.Fatalf("field %x (cap %d) is not in %x", field, cap(field), h.Raw)
		}
	}
	if len(h.Random) != 32 || len(h.CipherSuites) == 0 || len(h.ServerName) > maxName {
		t.Fatalf("not as promised: %+v", h)
	}
}

// FuzzParseMessage: no panic, and what is accepted is accepted in records too.
func FuzzParseMessage(f *testing.F) {
	for _, c := range clients() {
		f.Add(mustParse(f, c.wire).Raw)
	}
	f.Fuzz(func(t *testing.T, msg []byte) {
		var bare, framed Hello
		err := new(Parser).ParseMessage(msg, &bare)
		if err != nil || len(msg) > maxRecordSize {
			return
		}
		if err := new(Parser).Parse(record(recordHandshake, msg), &framed); err != nil || !reflect.DeepEqual(bare, framed) {
			t.Fatalf("in a record: %v, %+v, want %+v", err, framed, bare)
		}
	})
}

// FuzzServerFlight: no panic, and the answer comes once and stays.
func FuzzServerFlight(f *testing.F) {
	for _, s := range serverFlights() {
		f.Add(s.wire)
	}
	f.Add([]byte{21, 3, 3, 0, 2, 1, 112, 22, 3, 3, 0, 1, 2})
	f.Fuzz(func(t *testing.T, wire []byte) {
		var want ServerFlight
		wantErr := ParseServerFlight(wire, &want)
		answered := false
		for n := range len(wire) + 1 {
			var got ServerFlight
			err := ParseServerFlight(wire[:n], &got)
			if answered = answered || err != ErrIncomplete; !answered {
				continue
			}
			if !reflect.DeepEqual(err, wantErr) || got != want {
				t.Fatalf("first %d bytes: %v, %+v; all %d: %v, %+v", n, err, got, len(wire), wantErr, want)
			}
		}
	})
}
