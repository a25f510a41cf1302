package terminate

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// faulty are the backends of a pool, with a defect that shows once one of them is connected to.
type faulty struct {
	Backends
	pool *pool.Pool
}

func (f faulty) Config() *pool.Config { return f.pool.Config() }

func (f faulty) Pick([]*pool.Backend, <-chan struct{}) (*pool.Backend, Failure) {
	b, _ := f.pool.Pick(&pool.Request{})
	return b, None
}

func (faulty) Release(b *pool.Backend) { b.Release() }

func (faulty) Connected(*pool.Backend, int64) { panic("a defect") }

// A defect ends one connection, and takes no slot of a backend with it.
func TestADefectOfAnAttemptKeepsNoSlot(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p, err := NewPolicy(Config{Certificates: &tardy{cert: testCertificate(t)}})
	if err != nil {
		t.Fatal(err)
	}
	name, err := route.ParseName("a.example.com")
	if err != nil {
		t.Fatal(err)
	}
	backends := faulty{pool: pool.New(pool.Config{
		Name: "pool", ConnectTimeout: time.Minute, Attempts: 1,
		Backends: []pool.BackendConfig{{Addr: netip.MustParseAddrPort(l.Addr().String()), Weight: 1}},
	})}
	client, server := pipe(t)
	ended := make(chan End, 1)
	term := New(Options{})
	term.Start(Job{FD: descriptor(t, server), Name: name, Policy: p, Base: time.Now(), Backends: backends, Done: func(e End) { ended <- e }})
	c := tls.Client(client, &tls.Config{ServerName: "a.example.com", InsecureSkipVerify: true})
	_, _ = io.Copy(io.Discard, c)
	if e := <-ended; e.Failure != Defect || e.Panic != "a defect" {
		t.Errorf("it ended with %+v", e)
	}
	if n := backends.pool.Active(); n != 0 {
		t.Errorf("%d slots are held at the end", n)
	}
	term.Wait()
}
