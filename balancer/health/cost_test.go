package health

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// Backends in a process of their own: what the checks cost is then the processor time of this one.
//
//	TestMain of the same binary, in a child            this process
//	┌────────────────────────────────┐
//	│ tcp    0.0.0.0:p1 ◀────────────┼── 127.0.0.1 to 127.0.3.232: a thousand backends on each
//	│ tls    0.0.0.0:p2 ◀────────────┤
//	│ http   0.0.0.0:p3 ◀────────────┘
//	└────────────────────────────────┘ ends with its stdin

const backendsEnv = "SWITCHYARD_TEST_BACKENDS"

// serveBackends is what the child does: it writes its ports as JSON and serves until stdin ends.
func serveBackends() {
	config := &tls.Config{GetCertificate: ofItsOwn(), NextProtos: []string{"h2", "http/1.1"}}
	ports := map[string]uint16{}
	for _, kind := range []string{"tcp", "tls", "http"} {
		l, err := net.Listen("tcp", "0.0.0.0:0")
		if err != nil {
			panic(err)
		}
		ports[kind] = netip.MustParseAddrPort(l.Addr().String()).Port()
		switch kind {
		case "tcp":
			go serveEach(l, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		case "tls":
			go serveEach(tls.NewListener(l, config), func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		case "http":
			go func() {
				_ = http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
			}()
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(ports); err != nil {
		panic(err)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// ofItsOwn gives every backend a certificate of its own, by one authority whose certificate comes with it.
func ofItsOwn() func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	a := newAuthority()
	var (
		mu  sync.Mutex
		all = map[string]*tls.Certificate{}
	)
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		mu.Lock()
		defer mu.Unlock()
		addr := hello.Conn.LocalAddr().String()
		if all[addr] == nil {
			cert := a.issue(nil)
			cert.Certificate = append(cert.Certificate, a.cert.Raw)
			all[addr] = &cert
		}
		return all[addr], nil
	}
}

func serveEach(l net.Listener, serve func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			serve(c)
		}()
	}
}

// startBackends starts the child and returns its ports.
func startBackends(tb testing.TB) map[string]uint16 {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), backendsEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	var ports map[string]uint16
	if err := json.NewDecoder(bufio.NewReader(out)).Decode(&ports); err != nil {
		tb.Fatal(err)
	}
	return ports
}

// nth is the address of a backend, with a port of startBackends.
func nth(i int, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, byte(i / 250), byte(1 + i%250)}), port)
}

// processor is the processor time that this process has used, the kernel's on its behalf included.
func processor() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCheck is one check after the other, without the wait for the time of the next: what it costs when the
// process has more to do. "%core" is what a thousand backends at the default interval of 5 s then cost.
func BenchmarkCheck(b *testing.B) {
	ports := startBackends(b)
	for _, c := range []struct {
		name, port string
		check      pool.Check
		full       bool
	}{
		{"tcp", "tcp", pool.Check{Type: pool.CheckTCP}, false},
		{"tls/resumed", "tls", pool.Check{Type: pool.CheckTLS, SNI: "backend.example.com"}, false},
		{"tls/full", "tls", pool.Check{Type: pool.CheckTLS, SNI: "backend.example.com"}, true},
		{"http", "http", pool.Check{Type: pool.CheckHTTP}, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			checker := New(nil)
			defer checker.Close()
			t := &target{place: place{to: nth(0, ports[c.port])}, checker: checker, check: settled(&c.check)}
			t.watchers = []*watcher{{told: func(r Report) {
				if r.Error != "" {
					b.Error(r.Error)
				}
			}}}
			before := processor()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if c.full {
					t.session.drop()
				}
				t.to = nth(i%1000, ports[c.port]) // each has 28 000 ports of ours, which are in TIME_WAIT for a minute
				t.checkOnce(time.Now())
				i++
			}
			us := float64((processor() - before).Nanoseconds()) / 1e3 / float64(b.N)
			b.ReportMetric(us, "cpu-µs/check")
			b.ReportMetric(us*200/1e6*100, "%core")
		})
	}
}

// TestThousandBackendsCostLittle watches a thousand backends as they are watched for years: each at its time, with
// the process asleep in between, which costs more per check than BenchmarkCheck shows.
func TestThousandBackendsCostLittle(t *testing.T) {
	long := os.Getenv("SWITCHYARD_PROMISES") != ""
	n, run, interval := 100, time.Second, 500*time.Millisecond
	if long {
		n, run, interval = 1000, 15*time.Second, 5*time.Second
	}
	ports := startBackends(t)
	for _, c := range []struct {
		port  string
		check pool.Check
		most  float64 // of a core, in percent, in the long form
	}{
		{"tcp", pool.Check{Type: pool.CheckTCP}, 5},
		{"tls", pool.Check{Type: pool.CheckTLS, SNI: "backend.example.com"}, 10},
		{"http", pool.Check{Type: pool.CheckHTTP}, 5},
	} {
		t.Run(c.port, func(t *testing.T) {
			checker := New(nil)
			defer checker.Close()
			var passed, failed atomic.Int64
			before := heap()
			for i := range n {
				check := c.check // no two pools have the same
				check.Interval = interval
				if !long { // where what it costs is not held to anything, a busy machine may take its time
					check.Timeout = 20 * time.Second
				}
				checker.Watch(nth(i, ports[c.port]), &check, netip.Addr{}, func(r Report) {
					if r.Error != "" {
						failed.Add(1)
					}
					passed.Add(1)
				})
			}
			time.Sleep(interval + interval/5) // the first checks, which are full handshakes
			each := (heap() - before) / int64(n)
			done, cpu, start := passed.Load(), processor(), time.Now()
			want := int64(float64(n) * run.Seconds() / interval.Seconds() * 0.5)
			time.Sleep(run)
			for !long && passed.Load()-done < want && time.Since(start) < 30*time.Second {
				time.Sleep(10 * time.Millisecond)
			}
			done, cpu = passed.Load()-done, processor()-cpu
			share := 100 * cpu.Seconds() / time.Since(start).Seconds()
			t.Logf("%d checks in %v: %.1f %% of a core, %v a check; %d B a backend", done, time.Since(start).Round(time.Millisecond), share, cpu/time.Duration(max(done, 1)), each)
			if long && each > 32<<10 {
				t.Errorf("%d B a backend, want 32 KiB at most", each)
			}
			if long && share > c.most {
				t.Errorf("%.1f %% of a core, want %.0f %% at most", share, c.most)
			}
			if done < want || failed.Load() > 0 {
				t.Errorf("%d checks, want %d at least; %d have failed", done, want, failed.Load())
			}
		})
	}
}

// heap is the memory in use after a collection, with the stacks.
func heap() int64 {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
