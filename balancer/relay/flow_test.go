package relay

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"net"
	"runtime"
	"syscall"
	"testing"

	"github.com/seed-23b4a313/switchyard/balancer/sys"
)

// pair is a TCP connection on loopback: near is the raw, non-blocking end that a flow works on.
func pair(t *testing.T) (near int, far *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	near, e := sys.Socket(false)
	if e != 0 {
		t.Fatal(e)
	}
	if e := sys.Connect(near, l.Addr().(*net.TCPAddr).AddrPort(), false); e != 0 && e != syscall.EINPROGRESS {
		t.Fatal(e)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sys.Close(near); c.Close() })
	return near, c.(*net.TCPConn)
}

// smallBuffers makes the kernel take little, so that a sink blocks soon.
func smallBuffers(fd int, c *net.TCPConn) {
	sys.SetInt(fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 32<<10)
	c.SetReadBuffer(64 << 10)
}

// Whatever is written in whatever portions to a source arrives at the sink, the same bytes in the same order and
// then the end, while both sides are slow in turn: by copy, and by splice once bulk has shown.
func TestFlowCarriesExactBytes(t *testing.T) {
	for name, budget := range map[string]int{"splice": 4, "copy only": 0} {
		t.Run(name, func(t *testing.T) {
			b := NewBench(NewPipeBudget(budget))
			defer b.Close()
			source, writer := pair(t)
			sink, reader := pair(t)
			smallBuffers(sink, reader)
			const total = 4 << 20
			sent, got := sha256.New(), sha256.New()
			go func() {
				r := rand.New(rand.NewPCG(1, 2))
				p := make([]byte, 200<<10)
				for left := total; left > 0; {
					n := min(left, 1+r.IntN(len(p)))
					for i := 0; i < n; i += 64 {
						p[i] = byte(r.Uint32())
					}
					sent.Write(p[:n])
					writer.Write(p[:n])
					left -= n
				}
				writer.CloseWrite()
			}()
			done := make(chan int64)
			go func() {
				n, p := int64(0), make([]byte, 64<<10)
				for {
					k, err := reader.Read(p)
					got.Write(p[:k])
					if n += int64(k); err != nil {
						done <- n
						return
					}
				}
			}()
			f := Flow{bulk: budget > 0} // whether bulk shows depends on the kernel's portions
			spliced := pumpUntilFinished(t, b, &f, source, sink)
			if n := <-done; n != total || !bytes.Equal(sent.Sum(nil), got.Sum(nil)) || f.Bytes != total {
				t.Errorf("%d of %d bytes arrived, %d counted, hash equal: %v", n, total, f.Bytes, bytes.Equal(sent.Sum(nil), got.Sum(nil)))
			}
			if spliced != (budget > 0) {
				t.Errorf("a pipe was used: %v, with %d pipes allowed", spliced, budget)
			}
			f.Release(b)
			if free := len(b.pipes.free); free > 1 || b.pipes.budget.left.Load()+int64(free) != int64(budget) {
				t.Errorf("pipes: %d free and %d left of %d", free, b.pipes.budget.left.Load(), budget)
			}
		})
	}
}

// pumpUntilFinished stands in for the loop: it believes both sides ready all the time.
func pumpUntilFinished(t *testing.T, b *Bench, f *Flow, source, sink int) (spliced bool) {
	t.Helper()
	for {
		f.Readable = true
		f.Writable()
		state, e := f.Pump(b, source, sink)
		switch state {
		case Finished:
			return spliced
		case SourceFailed, SinkFailed:
			t.Fatalf("state %d: %v", state, e)
		}
		spliced = spliced || f.pipe != nil || len(b.pipes.free) > 0
		runtime.Gosched()
	}
}

func TestQuietFlowHoldsNothing(t *testing.T) {
	b := NewBench(NewPipeBudget(1))
	defer b.Close()
	source, writer := pair(t)
	sink, reader := pair(t)
	var f Flow
	writer.Write([]byte("ping"))
	for f.Bytes < 4 {
		f.Readable = true
		f.Pump(b, source, sink)
	}
	if f.rest != nil || f.pipe != nil || f.Readable {
		t.Errorf("after its bytes were taken the flow holds %d bytes, pipe %v, readable %v", len(f.rest), f.pipe, f.Readable)
	}
	p := make([]byte, 8)
	if n, err := reader.Read(p); string(p[:n]) != "ping" {
		t.Errorf("got %q, %v", p[:n], err)
	}
}

// Descriptors that connections are refused with are not kept for a pipe.
func TestAPipeOfLentDescriptorsIsGivenBack(t *testing.T) {
	lent := true
	budget := NewPipeBudget(1)
	budget.Lent = func() bool { return lent }
	p := pipes{budget: budget}
	if v := p.get(); v != nil {
		t.Fatalf("got %+v", v)
	}
	lent = false
	v := p.get()
	if v == nil {
		t.Fatal("the budget was not given back")
	}
	p.close(v)
}

// A sink that takes nothing stops the reading too: the memory held is what one read brought.
func TestBlockedSinkStopsReading(t *testing.T) {
	b := NewBench(NewPipeBudget(0))
	source, writer := pair(t)
	sink, reader := pair(t)
	smallBuffers(sink, reader)
	go writer.Write(make([]byte, 32<<20))
	var f Flow
	for !f.Blocked() {
		f.Readable = true
		f.Pump(b, source, sink)
	}
	before := f.Bytes
	for range 100 {
		f.Readable = true
		if state, _ := f.Pump(b, source, sink); state != Waiting {
			t.Fatalf("state %d, want Waiting", state)
		}
	}
	if f.Bytes != before || cap(f.rest) > copySize {
		t.Errorf("a blocked flow moved %d bytes and holds %d", f.Bytes-before, cap(f.rest))
	}
	f.Release(b)
}

func TestTurnIsBounded(t *testing.T) {
	b := NewBench(NewPipeBudget(1))
	defer b.Close()
	source, writer := pair(t)
	sink, reader := pair(t)
	go func() {
		p := make([]byte, 1<<20)
		for range 64 {
			writer.Write(p)
		}
		writer.CloseWrite()
	}()
	go func() {
		p := make([]byte, 1<<20)
		for {
			if _, err := reader.Read(p); err != nil {
				return
			}
		}
	}()
	var f Flow
	for state := Waiting; state != Finished; {
		before := f.Bytes
		f.Readable = true
		f.Writable()
		state, _ = f.Pump(b, source, sink)
		if moved := f.Bytes - before; moved > 2*turnBytes {
			t.Fatalf("one turn moved %d bytes, the bound is about %d", moved, turnBytes)
		}
	}
	f.Release(b)
}

func TestResetOfTheSourceIsTold(t *testing.T) {
	b := NewBench(NewPipeBudget(0))
	source, writer := pair(t)
	sink, _ := pair(t)
	writer.SetLinger(0)
	writer.Close()
	var f Flow
	state, e := Waiting, syscall.Errno(0)
	for state == Waiting {
		f.Readable = true
		state, e = f.Pump(b, source, sink)
	}
	if state != SourceFailed || e != syscall.ECONNRESET {
		t.Errorf("state %d, %v; want SourceFailed, ECONNRESET", state, e)
	}
}

func TestBuffersAreLentBySize(t *testing.T) {
	var p Buffers
	for _, n := range []int{0, 1, 2048, 2049, 5000, 65536, 128 << 10, 200 << 10} {
		b := p.Get(n)
		if len(b) < n || len(b) != cap(b) {
			t.Errorf("Get(%d): len %d cap %d", n, len(b), cap(b))
		}
		p.Put(b)
	}
	if p.Lent != 0 {
		t.Errorf("%d bytes lent after all were given back", p.Lent)
	}
	if n := testing.AllocsPerRun(100, func() { p.Put(p.Get(3000)) }); n != 0 {
		t.Errorf("lending allocates %v times", n)
	}
}
