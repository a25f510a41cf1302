package certs

import (
	"crypto/tls"
	"errors"
	"sync"
	"testing"
	"time"
)

// answering is an ACME whose storage answers when it is told to.
type answering struct {
	orders
	storage string
	answers chan struct{}
}

func (a answering) Storage() string { return a.storage }
func (a answering) Challenge(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	<-a.answers
	return &tls.Certificate{}, nil
}

// A storage that does not answer keeps a few of those who say that they validate, and anybody can say so.
func TestAStorageThatDoesNotAnswerKeepsAFew(t *testing.T) {
	t.Parallel()
	a := answering{orders{"a.example.com": nil}, t.TempDir(), make(chan struct{})}
	s := open(t, &Config{})
	s.Order(a)
	p := memory.place(a.storage)
	p.patience = 200 * time.Millisecond
	ask := func(name string) (*tls.Certificate, error) {
		return s.Challenge(&tls.ClientHelloInfo{ServerName: name})
	}
	var asked sync.WaitGroup
	for range mostInside + 2 {
		asked.Go(func() {
			if c, err := ask("A.example.com"); c != nil || err == nil || errors.Is(err, ErrNone) {
				t.Errorf("%v, %v", c, err)
			}
		})
	}
	asked.Wait()
	if n := len(p.inside); n != mostInside {
		t.Errorf("%d are kept", n)
	}
	if _, err := ask("b.example.com"); !errors.Is(err, ErrNone) {
		t.Errorf("a name that nothing is ordered for: %v", err)
	}
	close(a.answers)
	for began := time.Now(); len(p.inside) > 0; time.Sleep(time.Millisecond) {
		if time.Since(began) > time.Minute {
			t.Fatalf("at the end %d are inside", len(p.inside))
		}
	}
	if c, err := ask("a.example.com."); c == nil || err != nil {
		t.Errorf("once it answers: %v, %v", c, err)
	}
}
