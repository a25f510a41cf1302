package resolve

import (
	"encoding/binary"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// slowRead is read written for being obviously right, of a message that is unpacked.
func slowRead(m dnsmessage.Message, q query) (r reading) {
	if m.ID != q.id || !m.Response || m.Truncated {
		return reading{}
	}
	for _, rr := range m.Answers {
		ttl := rr.Header.TTL
		if ttl >= 1<<31 {
			ttl = 0
		}
		switch rr.Header.Type {
		case dnsmessage.TypeA, dnsmessage.TypeAAAA, dnsmessage.TypeCNAME, 39:
			if !r.ok || ttl < r.least {
				r.least, r.ok = ttl, true
			}
		}
	}
	r.conclusive = m.RCode == dnsmessage.RCodeSuccess || m.RCode == dnsmessage.RCodeNameError
	return r
}

// CVE-2026-123634: what a name server sends can neither crash the reader of TTLs nor make it wait, however the
// stream is cut; on sound messages it agrees with a slow twin.
func FuzzRead(f *testing.F) {
	question := dnsmessage.Question{Name: dnsmessage.MustNewName(host), Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}
	ask := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{question}}
	chain := []dnsmessage.Resource{alias(host, "b.example.", 90), record("b.example.", "192.0.2.1", 300)}
	f.Add(answering(ask, chain), uint8(1))
	f.Add(answering(ask, chain, truncated), uint8(3))
	f.Add(answering(ask, chain, otherID), uint8(2))
	f.Add(answering(ask, nil, rcode(dnsmessage.RCodeNameError)), uint8(0))
	f.Add(answering(ask, []dnsmessage.Resource{record(host, "192.0.2.1", 1<<31)}), uint8(200))
	f.Add(answering(ask, chain)[:40], uint8(5))
	f.Fuzz(func(t *testing.T, msg []byte, cut uint8) {
		q := query{id: 7, question: question, asked: true}
		got := read(msg, q)
		var m dnsmessage.Message
		if m.Unpack(msg) == nil && len(m.Questions) == 1 && m.Questions[0] == question {
			agree(t, msg, got, m, q)
		}
		if len(msg) > 1<<16-1 {
			return
		}
		seen := meter{settled: map[dnsmessage.Question]bool{question: false}}
		c := streamConn{meter: &seen, last: q}
		stream := append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
		for step := int(cut) + 1; len(stream) > 0; stream = stream[min(step, len(stream)):] {
			c.gather(stream[:min(step, len(stream))])
		}
		if seen.known != got.ok || seen.least != got.least || seen.settled[question] != got.conclusive || len(c.frame) != 0 {
			t.Errorf("in pieces of %d, %x gives %+v with %d bytes left, want %+v", int(cut)+1, msg, &seen, len(c.frame), got)
		}
	})
}

// agree compares got, read from msg, with the slow twin. Unpack does not compare the length of an address record
// with its content, and read is stricter there; so they have to agree fully on m packed again, and on msg where
// read found it sound.
func agree(t *testing.T, msg []byte, got reading, m dnsmessage.Message, q query) {
	want := slowRead(m, q)
	if got.conclusive && got != want {
		t.Errorf("read(%x) = %+v, want %+v", msg, got, want)
	}
	if packed, err := m.Pack(); err == nil && read(packed, q) != want {
		t.Errorf("read(%x) = %+v, want %+v", packed, read(packed, q), want)
	}
}
