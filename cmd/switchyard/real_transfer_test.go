//go:build linux

package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/demo"
)

// transferSize is 128 MiB, and 1 GiB where SWITCHYARD_PROMISES is set.
func transferSize() int64 {
	if os.Getenv("SWITCHYARD_PROMISES") != "" {
		return 1 << 30
	}
	return 128 << 20
}

// stream is size bytes that do not repeat; equal seeds give equal streams.
func stream(seed byte, size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), size)
}

// hashed is what went by.
type hashed struct {
	n   int64
	sum [sha256.Size]byte
}

// passed copies r to w, to the end of r, and says what went by.
func passed(w io.Writer, r io.Reader) (h hashed, err error) {
	digest := sha256.New()
	h.n, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, digest)}, struct{ io.Reader }{r}, make([]byte, 256<<10))
	h.take(digest)
	return h, err
}

func (h *hashed) take(digest hash.Hash) { digest.Sum(h.sum[:0]) }

// Much data each way, and less of it both ways at once, is compared by SHA-256. The sessions are TLS: what arrives has
// passed the authentication of every record as well. A session that goes up ends with half a close (R18).
func TestRealTransferComparedByHash(t *testing.T) {
	t.Parallel()
	size := transferSize()
	ca, _ := newAuthority(t)
	uploaded := make(chan hashed, 1)
	serve := func(host string, f func(*tls.Conn)) netip.AddrPort {
		return serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, ca, host)}}, f)
	}
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: up, hosts: [up.example.com], pool: up}
  - {name: down, hosts: [down.example.com], pool: down}
  - {name: echo, hosts: [echo.example.com], pool: echo}
pools:
  - {name: up, backends: ["%s"]}
  - {name: down, backends: ["%s"]}
  - {name: echo, backends: ["%s"]}
`,
		serve("up.example.com", func(c *tls.Conn) {
			h, err := passed(io.Discard, c)
			if err != nil {
				t.Errorf("backend: %v", err)
			}
			uploaded <- h
		}),
		serve("down.example.com", func(c *tls.Conn) {
			_, err := io.Copy(c, stream(2, size))
			if err == nil {
				err = c.CloseWrite()
			}
			if err == nil {
				_, err = io.Copy(io.Discard, c) // until the client has ended as well
			}
			if err != nil {
				t.Errorf("backend: %v", err)
			}
		}),
		serve("echo.example.com", func(c *tls.Conn) {
			if _, err := passed(c, c); err != nil {
				t.Errorf("backend: %v", err)
			}
		})))

	t.Run("to the backend", func(t *testing.T) {
		began := time.Now()
		conn := dialTLS(t, y, ca, "up.example.com")
		want, err := passed(conn, stream(1, size))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil { // the backend closes once it has read all
			t.Fatal(err)
		}
		compareHashes(t, want, <-uploaded, began)
	})
	t.Run("from the backend", func(t *testing.T) {
		began := time.Now()
		got, err := passed(io.Discard, dialTLS(t, y, ca, "down.example.com"))
		if err != nil {
			t.Fatal(err)
		}
		want, _ := passed(io.Discard, stream(2, size)) // neither end can fail
		compareHashes(t, want, got, began)
	})
	t.Run("both ways at once", func(t *testing.T) {
		began := time.Now()
		conn := dialTLS(t, y, ca, "echo.example.com")
		sent := make(chan hashed, 1)
		go func() {
			h, err := passed(conn, stream(3, size/4))
			if err == nil {
				err = conn.CloseWrite() // the rest of the echo has to come nevertheless
			}
			if err != nil {
				t.Errorf("client: %v", err)
			}
			sent <- h
		}()
		got, err := passed(io.Discard, conn)
		if err != nil {
			t.Fatal(err)
		}
		compareHashes(t, <-sent, got, began)
	})
	y.stop(t)
	for _, e := range y.connections(t) {
		if up, down := e.BytesIn, e.BytesOut; e.Cause != "ok" || max(up, down) < uint64(size/4) {
			t.Errorf("log: pool %s ended with %s after %d bytes in, %d out", e.Pool, e.Cause, up, down)
		}
	}
}

func dialTLS(t *testing.T, y *live, ca *demo.Authority, host string) *tls.Conn {
	t.Helper()
	conn, err := tls.Dial("tcp", y.addr.String(), &tls.Config{ServerName: host, RootCAs: ca.Pool()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func compareHashes(t *testing.T, want, got hashed, began time.Time) {
	t.Helper()
	if got.n != want.n || !bytes.Equal(got.sum[:], want.sum[:]) {
		t.Errorf("got %d bytes with SHA-256 %x, want %d with %x", got.n, got.sum, want.n, want.sum)
	}
	took := time.Since(began)
	t.Logf("%d MiB in %v, %.0f MiB/s", got.n>>20, took.Round(time.Millisecond), float64(got.n>>20)/took.Seconds())
}
