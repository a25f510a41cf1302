package bench

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// tlsBackend completes handshakes: a goroutine for each connection, which is what crypto/tls wants.
type tlsBackend struct {
	cfg    BackendConfig
	config *tls.Config

	mu       sync.Mutex
	open     map[net.Conn]struct{} // guarded by mu
	accepted int                   // guarded by mu
	closing  bool                  // guarded by mu
}

func runTLSBackend(ctx context.Context, cfg BackendConfig) error {
	cert, err := selfSigned(cfg.Key)
	if err != nil {
		return err
	}
	b := &tlsBackend{
		cfg: cfg,
		// One for all pools: a session that one of them gave out is resumed at each.
		config: &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}},
		open:   map[net.Conn]struct{}{},
	}
	listeners, addrs, err := listenAll(cfg.Listen)
	if err != nil {
		return err
	}
	var serving sync.WaitGroup
	for pool, l := range listeners {
		serving.Go(func() { b.accept(l, pool, &serving) })
	}
	if cfg.OnListen != nil {
		cfg.OnListen(addrs)
	}
	<-ctx.Done()
	closeListeners(listeners)
	b.closeAll()
	serving.Wait()
	return nil
}

// listenAll opens every address or none.
func listenAll(addrs []netip.AddrPort) (listeners []net.Listener, bound []netip.AddrPort, err error) {
	for _, addr := range addrs {
		l, err := net.Listen("tcp", addr.String())
		if err != nil {
			closeListeners(listeners)
			return nil, nil, err
		}
		listeners = append(listeners, l)
		bound = append(bound, l.Addr().(*net.TCPAddr).AddrPort())
	}
	return listeners, bound, nil
}

func closeListeners(listeners []net.Listener) {
	for _, l := range listeners {
		_ = l.Close()
	}
}

func (b *tlsBackend) accept(l net.Listener, pool int, serving *sync.WaitGroup) {
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // out of descriptors: wait for one
			time.Sleep(time.Millisecond)
			continue
		}
		n := b.note(conn)
		serving.Go(func() { b.serve(conn, pool, n) })
	}
}

// note counts a connection and keeps it for closeAll; n is its number. A stall begins here: whoever wants to go on
// takes the same lock.
func (b *tlsBackend) note(conn net.Conn) (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open[conn] = struct{}{}
	b.accepted++
	if b.cfg.StallFor > 0 && b.accepted == b.cfg.StallAfter {
		time.Sleep(b.cfg.StallFor)
	}
	if b.closing {
		_ = conn.Close()
	}
	return b.accepted
}

func (b *tlsBackend) serve(conn net.Conn, pool, n int) {
	defer b.forget(conn)
	if b.cfg.FailEvery > 0 && n%b.cfg.FailEvery == 0 {
		_ = conn.(*net.TCPConn).SetLinger(0)
		return
	}
	time.Sleep(b.cfg.Delay)
	tlsConn := tls.Server(conn, b.config)
	if err := tlsConn.Handshake(); err != nil {
		return
	}
	b.awaitStall()
	answer := wire.Answer{Pool: uint32(pool)}.Bytes()
	if _, err := tlsConn.Write(answer[:]); err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, tlsConn) // until the client closes
}

// awaitStall returns when no stall is under way.
func (b *tlsBackend) awaitStall() {
	b.mu.Lock()
	defer b.mu.Unlock()
}

func (b *tlsBackend) forget(conn net.Conn) {
	_ = conn.Close()
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.open, conn)
}

func (b *tlsBackend) closeAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closing = true
	for conn := range b.open {
		_ = conn.Close()
	}
}

// selfSigned makes a certificate that a client must not verify: it names no host.
func selfSigned(kind string) (tls.Certificate, error) {
	key, err := newKey(kind)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// rsaBits is what public certificate authorities issue for at the least (CA/Browser Forum, baseline requirements 6.1.5).
const rsaBits = 2048

func newKey(kind string) (crypto.Signer, error) {
	switch kind {
	case "", "ecdsa":
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "rsa":
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	return nil, fmt.Errorf("key %q: want ecdsa or rsa", kind)
}
