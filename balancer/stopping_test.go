package balancer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// R4: connections that end by themselves within drain.max are not touched by a stop.
func TestStopLetsConnectionsEnd(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Drain = Drain{Max: 30 * time.Second}
	s := serve(t, cfg)
	n, over := sized(100, 1000), sized(2*time.Second, 20*time.Second)
	var wg sync.WaitGroup
	for i := range n {
		c := open(t, s.addr, helloA, helloA)
		wg.Go(func() { // they end one after the other, the last after over
			time.Sleep(over * time.Duration(i) / time.Duration(n))
			c.SetDeadline(time.Now().Add(time.Minute))
			c.Write([]byte("the last words"))
			c.CloseWrite()
			if got, err := readAll(c); err != nil || string(got) != "the last words" {
				t.Errorf("connection %d was broken by the stop: %q, %v", i, got, err)
			}
		})
	}
	if closed := s.Shutdown(context.Background()); closed != 0 {
		t.Errorf("%d connections were closed before their end", closed)
	}
	wg.Wait()
	s.closed(t, CauseOK, uint64(n))
	if again := s.Shutdown(context.Background()); again != 0 {
		t.Errorf("a second Shutdown returned %d", again)
	}
	s.balanced(t)
}

// R4: what has not ended by drain.max is closed with FIN, not with RST, and counted; whatever it was doing.
func TestStopClosesTheRestAtDrainMax(t *testing.T) {
	t.Parallel()
	silent := listenTCP(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	other := oneHost("b.example.com", testPool("other", silent))
	other.Pools[0].Name, other.Pools[0].AnswerTimeout = "other", time.Minute
	other.Routes[0].Name, other.Routes[0].Index, other.Routes[0].Action = "other", 1, toPool("other")
	cfg.Pools, cfg.Routes = append(cfg.Pools, other.Pools...), append(cfg.Routes, other.Routes...)
	cfg.Listeners[0].HelloTimeout = time.Minute
	cfg.Drain = Drain{Max: sized(500*time.Millisecond, 5*time.Second)}
	s := serve(t, cfg)
	var conns []*net.TCPConn
	n := sized(50, 1000)
	for range n {
		conns = append(conns, open(t, s.addr, helloA, helloA))
	}
	for _, sent := range [][]byte{{}, helloA[:50], craft(serverName("b.example.com"))} { // silent, half a hello, unanswered
		c := dial(t, s.addr)
		mustWrite(t, c, sent)
		conns = append(conns, c)
	}
	eventually(t, func() bool { return s.Stats().Connections == int64(len(conns)) && s.Stats().Pools[1].Active == 1 },
		func() string { return "all connections" })
	begun := time.Now()
	closed := s.Shutdown(context.Background())
	took := time.Since(begun)
	if closed != len(conns) {
		t.Errorf("Shutdown returned %d, want %d", closed, len(conns))
	}
	if took < cfg.Drain.Max {
		t.Errorf("closed after %v, before drain.max", took)
	}
	if full() && took > cfg.Drain.Max+500*time.Millisecond {
		t.Errorf("closed after %v, want %v", took, cfg.Drain.Max)
	}
	for i, c := range conns {
		if got, err := readAll(c); len(got) != 0 || err != nil {
			t.Errorf("connection %d ended with %q, %v, want FIN", i, got, err)
		}
	}
	s.closed(t, CauseDraining, uint64(len(conns)))
	s.balanced(t)
}

// R4: a second signal, which is a context that is done, ends the waiting at once.
func TestStopAtOnce(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Drain = Drain{Announce: time.Hour, Max: time.Hour}
	s := serve(t, cfg)
	c := open(t, s.addr, helloA, helloA)
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan int)
	go func() { result <- s.Shutdown(ctx) }()
	eventually(t, func() bool { return !s.Ready() }, func() string { return "not ready" })
	late, err := net.Dial("tcp", s.addr) // announced is not stopped: it is still served
	if err != nil {
		t.Fatal(err)
	}
	defer late.Close()
	mustWrite(t, late, helloA)
	mustRead(t, late, helloA)
	cancel()
	if closed := <-result; closed != 2 {
		t.Errorf("Shutdown returned %d, want 2", closed)
	}
	mustEnd(t, c, false)
	if _, err := net.Dial("tcp", s.addr); err == nil {
		t.Error("the listener is still open")
	}
}

// R4, R5: what waits in an accept queue when the stop begins is served.
func TestStopServesTheAcceptQueue(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Drain = Drain{Max: time.Minute}
	s := serve(t, cfg)
	hold := make(chan struct{})
	for _, w := range s.workers {
		held := make(chan struct{})
		w.loop.Post(func() { close(held); <-hold })
		<-held
	}
	var conns []*net.TCPConn
	for range sized(100, 500) {
		c := dial(t, s.addr) // the kernel answers; nobody accepts
		mustWrite(t, c, helloA)
		conns = append(conns, c)
	}
	if got := s.Stats().Listeners[0].Accepted; got != 0 {
		t.Fatalf("%d were accepted by loops that stand still", got)
	}
	result := make(chan int)
	go func() { result <- s.Shutdown(context.Background()) }()
	eventually(t, func() bool { return !s.Ready() }, func() string { return "not ready" })
	close(hold)
	for i, c := range conns {
		got := make([]byte, len(helloA))
		if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, helloA) {
			t.Fatalf("connection %d of the queue: %v", i, err)
		}
		c.Close()
	}
	if closed := <-result; closed != 0 {
		t.Errorf("%d were closed before their end", closed)
	}
	s.closed(t, CauseOK, uint64(len(conns)))
}

// A stop under load: every connection is either served whole or was never accepted.
func TestStopUnderLoad(t *testing.T) {
	t.Parallel()
	cfg := oneHost("a.example.com", testPool("pool", echo(t)))
	cfg.Drain = Drain{Max: time.Minute}
	s := serve(t, cfg)
	var served, broken atomic.Int64
	var causes lockedBuffer
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				c, err := net.Dial("tcp", s.addr)
				if err != nil {
					return
				}
				c.SetDeadline(time.Now().Add(time.Minute))
				c.Write(helloA)
				got := make([]byte, len(helloA))
				n, err := io.ReadFull(c, got)
				c.Close()
				switch {
				case err == nil:
					served.Add(1)
				case n > 0 || !isReset(err) && !errors.Is(err, io.EOF): // a reset of a handshake that was under way is the kernel's
					broken.Add(1)
					causes.Write([]byte(err.Error() + "\n"))
				}
			}
		})
	}
	eventually(t, func() bool { return served.Load() > 200 }, func() string { return "some load" })
	if closed := s.Shutdown(context.Background()); closed != 0 {
		t.Errorf("%d were closed before their end", closed)
	}
	wg.Wait()
	if broken.Load() > 0 {
		t.Errorf("%d connections broke: %s", broken.Load(), causes.String())
	}
	st := s.Stats()
	checkBalance(t, st)
	if got := st.Listeners[0].Closed; got[CauseOK] != st.Listeners[0].Accepted {
		t.Errorf("accepted %d, ended in order %d: %v", st.Listeners[0].Accepted, got[CauseOK], slices.Max(got[:]))
	}
}
