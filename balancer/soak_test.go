package balancer

import (
	"bytes"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// R33: all sorts of clients at once, beside a backend that comes and goes: honest ones never fail, and afterwards
// nothing is left: no connection, descriptor, goroutine or memory, and every connection ended in one way.
// SWITCHYARD_SOAK=24h says for how long.
func TestSoak(t *testing.T) {
	t.Parallel()
	length := sized(3*time.Second, 2*time.Minute)
	if v := os.Getenv("SWITCHYARD_SOAK"); v != "" {
		var err error
		if length, err = time.ParseDuration(v); err != nil {
			t.Fatal(err)
		}
	}
	over := time.Now().Add(length)
	s := start(t, childSpec{
		Backends:     []string{echo(t), flapping(t, over), echo(t)},
		HelloTimeout: 30 * time.Second,
	}, false)
	cold := s.report(t)
	var honest, odd atomic.Int64
	chaos := func(end time.Time) childReport {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for r := rand.New(rand.NewPCG(rand.Uint64(), 0)); time.Now().Before(end); {
					if i%2 == 0 {
						beHonest(t, s.Addr, r, &honest)
					} else {
						beOdd(s.Addr, r)
						odd.Add(1)
					}
					time.Sleep(8 * time.Millisecond) // about 1 000 connections a second in all at most
				}
			})
		}
		wg.Wait()
		var r childReport
		eventually(t, func() bool { r = s.report(t); return r.Stats.Connections == 0 }, func() string { return "no connection left" })
		return r
	}
	warm := chaos(time.Now().Add(length / 3))
	end := chaos(over)
	t.Logf("%d honest and %d odd clients; memory %d, then %d; descriptors %d, then %d", honest.Load(), odd.Load(),
		warm.Memory, end.Memory, warm.FDs, end.FDs)
	checkBalance(t, end.Stats)
	if end.Gos != cold.Gos {
		t.Errorf("%d goroutines at the start, %d at the end", cold.Gos, end.Gos)
	}
	const keptPipes = 2 * 16 * 2 // two loops keep 16 pipes each
	if end.FDs > cold.FDs+keptPipes {
		t.Errorf("%d descriptors at the start, %d at the end", cold.FDs, end.FDs)
	}
	if grown := int64(end.Memory) - int64(warm.Memory); grown > 2<<20 {
		t.Errorf("memory grew by %d bytes", grown)
	}
	if n := end.Stats.Panics; n != 0 {
		t.Errorf("%d panics", n)
	}
}

// flapping is a backend that listens and does not, by turns, until over; it resets whoever it has then.
func flapping(t *testing.T, over time.Time) string {
	_, addr := boundSocket(t) // while it does not listen, nobody else gets the port
	first, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for l := first; time.Now().Before(over); {
			l.(*net.TCPListener).SetDeadline(time.Now().Add(200 * time.Millisecond))
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				c.(*net.TCPConn).SetLinger(0)
				c.Close()
			}
			l.Close()
			time.Sleep(100 * time.Millisecond)
			for l, err = net.Listen("tcp", addr); err != nil && time.Now().Before(over); l, err = net.Listen("tcp", addr) {
				time.Sleep(10 * time.Millisecond) // somebody else's connection has the port
			}
			if err != nil {
				return
			}
			if !time.Now().Before(over) {
				l.Close()
			}
		}
	})
	t.Cleanup(wg.Wait)
	return addr
}

// beHonest sends a hello and up to 200 KB, ends, and wants all of it back.
func beHonest(t *testing.T, addr string, r *rand.Rand, count *atomic.Int64) {
	sent := append(bytes.Clone(helloA), pattern(r.IntN(1<<r.IntN(18)))...)
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	go func() { c.Write(sent); c.(*net.TCPConn).CloseWrite() }()
	if got, err := readAll(c); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("honest client: %d of %d bytes, %v", len(got), len(sent), err)
	}
	count.Add(1)
}

// beOdd does one of the things that honest clients do not.
func beOdd(addr string, r *rand.Rand) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	c := conn.(*net.TCPConn)
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	switch r.IntN(6) {
	case 0: // leaves at once
	case 1: // leaves within its hello
		c.Write(helloA[:1+r.IntN(len(helloA)-1)])
	case 2: // is no TLS
		c.Write([]byte("GET / HTTP/1.1\r\n\r\n"))
		c.Read(make([]byte, 1))
	case 3: // asks for what there is not
		c.Write(craft(serverName("b.example.com")))
		c.Read(make([]byte, 1))
	case 4: // resets in the middle of a transfer
		c.Write(append(bytes.Clone(helloA), pattern(100_000)...))
		c.Read(make([]byte, 1000))
		c.SetLinger(0)
	case 5: // sends nonsense
		c.Write(mutate(r, helloA))
		c.SetLinger(0)
	}
}
