package balancer

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// full reports whether the numbers of docs/promises.md are asked for, which takes minutes (make promises).
func full() bool { return os.Getenv("SWITCHYARD_PROMISES") == "1" }

// sized is n in the ordinary suite and most with full.
func sized[T any](n, most T) T {
	if full() {
		return most
	}
	return n
}

// echo is a backend that sends everything back, the hello included, and passes an end on.
func echo(t testing.TB) string {
	return listenTCP(t, func(c *net.TCPConn) {
		io.Copy(c, c)
		c.CloseWrite()
	})
}

// serveOn serves every connection of l with f, in a goroutine each, until the test ends.
func serveOn(t testing.TB, l net.Listener, f func(*net.TCPConn)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	open := map[net.Conn]bool{}
	track := func(c net.Conn, is bool) {
		mu.Lock()
		defer mu.Unlock()
		if delete(open, c); is {
			open[c] = true
		}
	}
	wg.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			track(c, true)
			wg.Go(func() {
				defer track(c, false)
				defer c.Close()
				f(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for c := range open {
			c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
}

// answering is a backend that answers a hello with answer, then takes what comes until the client ends.
func answering(t testing.TB, answer []byte) string {
	return listenTCP(t, func(c *net.TCPConn) {
		if _, err := readHelloRecord(c); err == nil {
			c.Write(answer)
			io.Copy(io.Discard, c)
		}
	})
}

// readHelloRecord reads one record.
func readHelloRecord(r io.Reader) ([]byte, error) {
	b := make([]byte, 5, 2<<10)
	if _, err := io.ReadFull(r, b); err != nil {
		return b, err
	}
	b = append(b, make([]byte, int(b[3])<<8|int(b[4]))...)
	_, err := io.ReadFull(r, b[5:])
	return b, err
}

// recording is a backend that answers and keeps the first n bytes of each connection.
type recording struct {
	addr string
	mu   sync.Mutex
	got  [][]byte
}

func record(t testing.TB, n int, answer []byte) *recording {
	r := &recording{}
	r.addr = listenTCP(t, func(c *net.TCPConn) {
		b := make([]byte, n)
		k, _ := io.ReadFull(c, b)
		r.mu.Lock()
		r.got = append(r.got, b[:k])
		r.mu.Unlock()
		c.Write(answer)
	})
	return r
}

func (r *recording) all() [][]byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([][]byte(nil), r.got...)
}

// exchange sends hello, ends writing, and returns all that comes back.
func exchange(t testing.TB, addr string, hello []byte) ([]byte, error) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := c.Write(hello); err != nil {
		return nil, err
	}
	c.(*net.TCPConn).CloseWrite()
	return readAll(c)
}

// open makes a connection through the balancer at addr, sends hello, and returns once answer is here.
func open(t testing.TB, addr string, hello, answer []byte) *net.TCPConn {
	t.Helper()
	c := dial(t, addr)
	mustWrite(t, c, hello)
	mustRead(t, c, answer)
	return c
}

func mustWrite(t testing.TB, c net.Conn, b []byte) {
	t.Helper()
	if _, err := c.Write(b); err != nil {
		t.Fatalf("write: %v", err)
	}
}

// mustRead reads exactly want.
func mustRead(t testing.TB, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes, %v, want the %d bytes sent", n, err, len(want))
	}
}

// mustEnd reads the end of the connection: reset or in order.
func mustEnd(t testing.TB, c net.Conn, reset bool) {
	t.Helper()
	b, err := readAll(c)
	if len(b) > 0 {
		t.Errorf("%d bytes before the end, want none", len(b))
	}
	if errors.Is(err, syscall.ECONNRESET) != reset || !reset && err != nil {
		t.Errorf("connection ended with %v, want reset: %v", err, reset)
	}
}

// isReset reports whether err is what a reset connection answers to reading and writing.
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// mustBeReset connects and is reset at once, perhaps before connect(2) has told of the connection.
func mustBeReset(t testing.TB, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second))
	mustEnd(t, c, true)
}

// refusing is an address at which nobody listens, and which is nobody else's until the test ends.
func refusing(t testing.TB) string {
	t.Helper()
	_, addr := boundSocket(t)
	return addr
}

// boundSocket is a socket that has an address and does nothing with it. Whoever allows for it (SO_REUSEADDR, as net.Listen does) can
// listen there meanwhile.
func boundSocket(t testing.TB) (fd int, addr string) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	in4 := sa.(*syscall.SockaddrInet4)
	return fd, netip.AddrPortFrom(netip.AddrFrom4(in4.Addr), uint16(in4.Port)).String()
}

// blackhole is an address that answers no SYN: its accept queue is full, and the kernel drops what comes on top
// (listen(2), tcp_abort_on_overflow 0).
func blackhole(t testing.TB) string {
	t.Helper()
	fd, addr := boundSocket(t)
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	for range 8 { // a backlog of 0 holds one; more are tried until one is left without an answer
		c, err := net.DialTimeout("tcp", addr, 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { c.Close() })
	}
	t.Fatal("the accept queue takes everything")
	return ""
}

// balanced checks that every connection ended in one way: nothing is active, and what was accepted is what was
// closed, listener by listener.
func (r *running) balanced(t testing.TB) {
	t.Helper()
	r.quiet(t)
	checkBalance(t, r.Stats())
}

func checkBalance(t testing.TB, st Stats) {
	t.Helper()
	for _, l := range st.Listeners {
		var closed uint64
		for _, n := range l.Closed {
			closed += n
		}
		if l.Accepted != closed+uint64(l.Active) {
			t.Errorf("listener %s: accepted %d, but active %d and closed %d", l.Name, l.Accepted, l.Active, closed)
		}
	}
	for _, p := range st.Pools {
		for _, b := range p.Backends {
			if st.Connections == 0 && b.Active != 0 {
				t.Errorf("pool %s backend %s: %d connections active when none is left", p.Name, b.Address, b.Active)
			}
		}
	}
}

// onEachWorker runs f on every loop in turn, and returns when all have.
func (r *running) onEachWorker(f func(*worker)) {
	for _, w := range r.workers {
		done := make(chan struct{})
		if w.loop.Post(func() { defer close(done); f(w) }) {
			<-done
		}
	}
}

// eachSession runs f for every live session, on its loop.
func (r *running) eachSession(f func(*session)) {
	r.onEachWorker(func(w *worker) {
		for i := range w.slabs {
			for j := range w.slabs[i] {
				if s := &w.slabs[i][j]; s.stage != stageFree {
					f(s)
				}
			}
		}
	})
}

// countFDs is the number of descriptors of this process.
func countFDs(t testing.TB) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(fds)
}
