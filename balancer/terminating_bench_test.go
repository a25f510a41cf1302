package balancer

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// BenchmarkTerminatedHandshakes counts the handshakes that the balancer completes in a second of one core's time: its
// process's, connections, logs and backends included, whatever its clients cost. ECDSA P-256, as benchmarks of others have it.
//
//	go test ./balancer -run '^$' -bench TerminatedHandshakes -benchtime 5000x -count 10
func BenchmarkTerminatedHandshakes(b *testing.B) {
	for _, bm := range []struct {
		name   string
		client *tls.Config
	}{
		{"TLS1.3/X25519", &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519}}},
		{"TLS1.3/X25519MLKEM768", &tls.Config{MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}},
		{"TLS1.2/P-256", &tls.Config{MaxVersion: tls.VersionTLS12, CurvePreferences: []tls.CurveID{tls.CurveP256}}},
		{"TLS1.3/resumed", &tls.Config{MinVersion: tls.VersionTLS13, ClientSessionCache: tls.NewLRUClientSessionCache(1)}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			c := start(b, childSpec{Backends: []string{echo(b)}, Terminate: flooded}, false)
			bm.client.ServerName = flooded
			if _, err := talk(c.Addr, bm.client); err != nil {
				b.Fatal(err)
			}
			before := c.report(b).CPU
			for b.Loop() {
				if _, err := talk(c.Addr, bm.client); err != nil {
					b.Fatal(err)
				}
			}
			used := c.report(b).CPU - before
			b.ReportMetric(float64(b.N)/used.Seconds(), "handshakes/core-s")
			b.ReportMetric(float64(used.Microseconds())/float64(b.N), "µs-of-core/op")
		})
	}
}

// What a terminated connection costs while it is quiet, in the balancer's process: crypto/tls keeps the buffer that the
// hello was put together in, however large a stranger has made that.
func TestMemoryPerTerminatedConnection(t *testing.T) {
	t.Parallel()
	var long []string
	for i := range 240 {
		long = append(long, fmt.Sprintf("%0255d", i))
	}
	for _, tt := range []struct {
		name   string
		protos []string
	}{{"small hello", nil}, {"hello of 60 KiB", long}} {
		t.Run(tt.name, func(t *testing.T) {
			if !full() {
				t.Parallel()
			}
			n := sized(200, 2000) // each takes four descriptors here: two sockets, and the pipe of an echo
			c := start(t, childSpec{Backends: []string{echo(t)}, Terminate: flooded}, false)
			before := c.report(t)
			for range n {
				raw, err := net.DialTimeout("tcp", c.Addr, 10*time.Second)
				if err != nil {
					t.Fatal(err)
				}
				defer raw.Close()
				tc := tls.Client(raw, &tls.Config{ServerName: flooded, InsecureSkipVerify: true, NextProtos: tt.protos})
				raw.SetDeadline(time.Now().Add(20 * time.Second))
				if _, err := tc.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(tc, make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			}
			after := c.report(t)
			each := (float64(after.Memory) - float64(before.Memory)) / float64(n)
			t.Logf("%.0f bytes, %.1f descriptors and %.1f goroutines each", each, float64(after.FDs-before.FDs)/float64(n), float64(after.Gos-before.Gos)/float64(n))
			if each > memoryPerTerminated {
				t.Errorf("%.0f bytes each, want at most %d", each, memoryPerTerminated)
			}
		})
	}
}
