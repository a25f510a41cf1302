package resolve

import (
	"errors"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// meter learns what Go's resolver does not tell of one lookup from the DNS messages it sends and receives: the
// TTLs, and whether one of the two questions, A and AAAA, went without an answer while the other had one.
//
// It may see messages that the resolver then rejects. That does no harm: they can only lower the TTL, down to minTTL,
// and settle a question that stays unanswered. Its memory is bounded by the questions asked.
type meter struct {
	mu      sync.Mutex                   // A and AAAA are asked at the same time
	known   bool                         // mu; least is valid
	least   uint32                       // mu; seconds
	settled map[dnsmessage.Question]bool // mu; of the questions asked, those with an answer
	answer  dnsmessage.Name              // mu; the name asked for that has addresses: the host, or with a search domain
}

// query is a question on its way, and the id its answer has to carry. The zero value has no answer.
type query struct {
	id       uint16
	question dnsmessage.Question
	asked    bool
}

// ask takes note of a query that is sent.
func (m *meter) ask(msg []byte) (q query) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil {
		return query{}
	}
	if q.question, err = p.Question(); err != nil {
		return query{}
	}
	q.id, q.asked = h.ID, true
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.settled == nil {
		m.settled = make(map[dnsmessage.Question]bool)
	}
	if !m.settled[q.question] {
		m.settled[q.question] = false // listed
	}
	return q
}

// see takes note of msg if it answers q.
func (m *meter) see(msg []byte, q query) {
	r := read(msg, q)
	m.mu.Lock()
	defer m.mu.Unlock()
	if r.conclusive {
		m.settled[q.question] = true
	}
	if !r.ok {
		return
	}
	m.answer = q.question.Name
	if !m.known || r.least < m.least {
		m.known, m.least = true, r.least
	}
}

// ttl is the least TTL seen, at least minTTL; 0 when there was none.
func (m *meter) ttl() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.known {
		return 0
	}
	return max(minTTL, time.Duration(m.least)*time.Second)
}

// partial tells whether a question for the name that has addresses was left without an answer.
func (m *meter) partial() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for q, settled := range m.settled {
		if q.Name == m.answer && !settled {
			return true
		}
	}
	return false
}

// reading is what one message says.
type reading struct {
	least      uint32 // TTL in seconds
	ok         bool   // least is valid: there are records
	conclusive bool   // whatever there is to say about the question has been said
}

// read reads msg as the answer to q, the zero reading where it is not. least is that of the A, AAAA, CNAME and DNAME
// records in the answer section (RFC 1035 §4.1), as far as it makes sense. An answer that is
// cut short does not count: it is asked for again over TCP.
func read(msg []byte, q query) (r reading) {
	var p dnsmessage.Parser
	h, err := p.Start(msg)
	if err != nil || !q.asked || !h.Response || h.Truncated || h.ID != q.id || !sameQuestion(&p, q.question) {
		return reading{}
	}
	for {
		rr, err := p.AnswerHeader()
		if err != nil {
			sound := errors.Is(err, dnsmessage.ErrSectionDone)
			r.conclusive = sound && (h.RCode == dnsmessage.RCodeSuccess || h.RCode == dnsmessage.RCodeNameError)
			return r
		}
		if ofChain(rr.Type) && (!r.ok || seconds(rr.TTL) < r.least) {
			r.least, r.ok = seconds(rr.TTL), true
		}
		if p.SkipAnswer() != nil {
			return r
		}
	}
}

// sameQuestion tells whether the next question of p is want, as names compare, and moves p to the answers.
func sameQuestion(p *dnsmessage.Parser, want dnsmessage.Question) bool {
	got, err := p.Question()
	return err == nil && got.Type == want.Type && got.Class == want.Class &&
		strings.EqualFold(got.Name.String(), want.Name.String()) && p.SkipAllQuestions() == nil
}

// ofChain tells whether a record of this type may lead from the question to the addresses, or to the targets.
func ofChain(t dnsmessage.Type) bool {
	const dname = 39 // RFC 6672 §2.1
	return t == dnsmessage.TypeA || t == dnsmessage.TypeAAAA || t == dnsmessage.TypeCNAME || t == dname || t == dnsmessage.TypeSRV
}

// seconds reads a TTL field: a value with the highest bit set counts as 0 (RFC 2181 §8).
func seconds(field uint32) uint32 {
	if field > 1<<31-1 {
		return 0
	}
	return field
}
