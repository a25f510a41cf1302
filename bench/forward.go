package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"
)

// ForwardConfig says between which addresses the bare forwarder copies.
type ForwardConfig struct {
	Listen  netip.AddrPort `json:"listen"` // port 0 is a free one
	Backend netip.AddrPort `json:"backend"`
	// OnListen is called once with the address.
	OnListen func(netip.AddrPort) `json:"-"`
}

// RunForwarder is what a few lines of Go do without reading any hello: two goroutines and io.Copy between two TCP
// connections, which is splice(2) on Linux. It is the yardstick for bulk, and no balancer. It serves until ctx is
// done, which is not an error.
func RunForwarder(ctx context.Context, cfg ForwardConfig) error {
	l, err := net.Listen("tcp", cfg.Listen.String())
	if err != nil {
		return fmt.Errorf("bench: forwarder: %w", err)
	}
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	if cfg.OnListen != nil {
		cfg.OnListen(l.Addr().(*net.TCPAddr).AddrPort())
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for {
		client, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // out of descriptors: wait for one
			time.Sleep(time.Millisecond)
		default:
			running.Go(func() { forward(ctx, client.(*net.TCPConn), cfg.Backend) })
		}
	}
}

func forward(ctx context.Context, client *net.TCPConn, to netip.AddrPort) {
	defer client.Close()
	backend, err := net.DialTCP("tcp", nil, net.TCPAddrFromAddrPort(to))
	if err != nil {
		return
	}
	defer backend.Close()
	defer context.AfterFunc(ctx, func() {
		_ = client.Close()
		_ = backend.Close()
	})()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(backend, client)
		_ = backend.CloseWrite()
	}()
	_, _ = io.Copy(client, backend)
	_ = client.CloseWrite()
	<-done
}
