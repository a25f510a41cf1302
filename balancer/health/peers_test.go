package health

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
)

// What backends have in their error logs after they were checked: nothing.

// checkOften makes several checks of addr, full handshakes and resumed ones, by every check that it is given.
func checkOften(t *testing.T, addr netip.AddrPort, checks ...pool.Check) {
	t.Helper()
	const each = 6
	for _, check := range checks {
		c := New(nil)
		c.linger = 20 * time.Second // a backend that is late with its end on a busy machine is not left alone
		check.Interval, check.Timeout = 50*time.Millisecond, 20*time.Second
		done, n := make(chan string), 0
		stop := c.Watch(addr, &check, netip.Addr{}, func(r Report) {
			if n++; n == each {
				close(done)
			}
			if failed := r.Failures > 0; failed != (check.Verify != pool.VerifyNone) {
				t.Errorf("check by %s, certificate verified by %s: %+v", check.Type, check.Verify, r)
			}
		})
		<-done
		stop()
		c.running.Wait() // for the farewell of the last check, which Close would cut short
		c.Close()
	}
}

// tlsChecks are those that a TLS server should not mind; those of http are for web servers.
func tlsChecks(http bool) []pool.Check {
	all := []pool.Check{
		{Type: pool.CheckTLS},
		{Type: pool.CheckTLS, SNI: "backend.example.com", ALPN: []string{"h2", "http/1.1"}},
		{Type: pool.CheckTLS, Verify: pool.VerifySystem}, // which fails
	}
	if http {
		all = append(all,
			pool.Check{Type: pool.CheckHTTPS},
			pool.Check{Type: pool.CheckHTTPS, Method: "HEAD"},
			pool.Check{Type: pool.CheckHTTPS, Verify: pool.VerifySystem},
		)
	}
	return all
}

func TestNetHTTPServerLogsNothing(t *testing.T) {
	cert := newAuthority().issue(nil)
	for _, c := range []struct {
		name   string
		config *tls.Config
	}{
		{"TLS 1.3", &tls.Config{Certificates: []tls.Certificate{cert}}},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS12}},
		{"no session tickets", &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true}},
		{"no post-quantum groups", &tls.Config{Certificates: []tls.Certificate{cert}, CurvePreferences: []tls.CurveID{tls.CurveP384}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var lines syncBuffer
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			s := &http.Server{TLSConfig: c.config, ErrorLog: log.New(&lines, "", 0), Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				fmt.Fprint(w, strings.Repeat("ok ", 1000))
			})}
			ended := make(chan error)
			go func() { ended <- s.ServeTLS(l, "", "") }()
			checkOften(t, netip.MustParseAddrPort(l.Addr().String()), tlsChecks(true)...)
			if err := s.Shutdown(context.Background()); err != nil { // after which all connections have ended
				t.Error(err)
			}
			<-ended
			if got := lines.String(); got != "" {
				t.Errorf("the server has logged:\n%s", got)
			}
		})
	}
}

// A bare crypto/tls server finds no error in handshake, reading and closing.
func TestCryptoTLSServerMeetsNoError(t *testing.T) {
	t.Parallel()
	cert := newAuthority().issue(nil)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: version, MaxVersion: version, NextProtos: []string{"h2"}}
			var mu sync.Mutex
			var found []error
			resumed, full := 0, 0
			addr := serve(t, func(c net.Conn) {
				s := tls.Server(c, config)
				err := s.Handshake()
				if err == nil {
					_, err = s.Write([]byte("a server that speaks first"))
				}
				if err == nil {
					_, err = io.Copy(io.Discard, s) // nil at close_notify
				}
				mu.Lock()
				defer mu.Unlock()
				if s.ConnectionState().DidResume {
					resumed++
				} else {
					full++
				}
				found = append(found, err, s.Close())
			})
			checkOften(t, addr, tlsChecks(false)...)
			mu.Lock()
			defer mu.Unlock()
			if err := errors.Join(found...); err != nil {
				t.Error(err)
			}
			// Of each of the first two checks, the first is full; of those that are not verified, all.
			if resumed < 10 || full < 2+6 {
				t.Errorf("%d handshakes were resumed, %d were not", resumed, full)
			}
		})
	}
}

// A check by TCP meets a server that speaks first, and a slow one, without RST.
func TestCheckByTCPResetsNothing(t *testing.T) {
	errs := make(chan error, 100)
	addr := serve(t, func(c net.Conn) {
		time.Sleep(20 * time.Millisecond)
		_, err := io.WriteString(c, "220 mail.example.com\r\n")
		if err == nil {
			time.Sleep(20 * time.Millisecond)
			_, err = io.Copy(io.Discard, c)
		}
		errs <- err
	})
	checkOften(t, addr, pool.Check{Type: pool.CheckTCP})
	for range 6 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

// program runs a server until the test has ended, and returns what it has written then.
func program(t *testing.T, ready netip.AddrPort, name string, args ...string) (written func() string) {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	var out syncBuffer
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	in, err := cmd.StdinPipe() // s_server ends with its stdin
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan error, 1)
	go func() { exited <- cmd.Wait() }()
	end := sync.OnceFunc(func() {
		in.Close()
		_ = cmd.Process.Signal(syscall.SIGTERM) // SIGINT is ignored by what a shell has put into the background
		<-exited
	})
	t.Cleanup(end)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if firstReport(t, ready, pool.Check{Type: pool.CheckTLS}).Error == "" {
			break
		}
		if time.Now().After(deadline) {
			end()
			t.Fatalf("%s does not listen: %s", name, out.String())
		}
	}
	return func() string { end(); return out.String() }
}

func TestOpenSSLServerLogsNothing(t *testing.T) {
	t.Parallel()
	pem := files(t, newAuthority().issue(nil))
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run(version, func(t *testing.T) {
			addr := refused(t)
			written := program(t, addr, "openssl", "s_server", "-accept", addr.String(), "-cert", pem, "-key", pem, version, "-quiet", "-alpn", "h2,http/1.1")
			checkOften(t, addr, tlsChecks(false)...)
			out := written()
			if regexp.MustCompile(`(?i)error|fail|alert|routines`).MatchString(out) {
				t.Errorf("s_server has written:\n%s", out)
			}
		})
	}
}

// nginx, as a web server and as a TLS server by itself, with and without PROXY header.
func TestNginxLogsNothing(t *testing.T) {
	t.Parallel()
	pem := files(t, newAuthority().issue(nil))
	dir := t.TempDir()
	web, proxied, stream := refused(t), refused(t), refused(t)
	errorLog := filepath.Join(dir, "error.log")
	module := "/usr/lib/nginx/modules/ngx_stream_module.so"
	if _, err := os.Stat(module); err == nil {
		module = "load_module " + module + ";"
	} else {
		module = ""
	}
	conf := fmt.Sprintf(`%s daemon off; pid %s/pid; error_log %s notice; worker_processes 1;
		events { worker_connections 100; }
		http {
			access_log off; client_body_temp_path %s/a; proxy_temp_path %s/b; fastcgi_temp_path %s/c; uwsgi_temp_path %s/d; scgi_temp_path %s/e;
			ssl_certificate %s; ssl_certificate_key %s; ssl_session_tickets on;
			server { listen %s ssl http2; location / { return 200 "ok"; } }
			server { listen %s ssl proxy_protocol; location / { return 200 "ok"; } }
		}
		stream { ssl_certificate %s; ssl_certificate_key %s; server { listen %s ssl; return "hello"; } }
		`, module, dir, errorLog, dir, dir, dir, dir, dir, pem, pem, web, proxied, pem, pem, stream)
	file := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	written := program(t, web, "nginx", "-c", file, "-e", errorLog)
	before := started(t, errorLog)
	checkOften(t, web, tlsChecks(true)...)
	checkOften(t, stream, tlsChecks(false)...)
	for _, version := range []pool.HeaderVersion{pool.HeaderV1, pool.HeaderV2} {
		for _, c := range tlsChecks(true) {
			c.Header = version
			checkOften(t, proxied, c)
		}
	}
	all, err := os.ReadFile(errorLog)
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.TrimPrefix(all, before); len(got) > 0 {
		t.Errorf("nginx has logged:\n%s", got)
	}
	_ = written()
}

// started waits for the last line that nginx writes when it begins, which may come after its sockets are open, and
// returns the log up to there.
func started(t *testing.T, errorLog string) []byte {
	last := regexp.MustCompile(`start worker process \d+\n`)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		log, err := os.ReadFile(errorLog)
		if err != nil {
			t.Fatal(err)
		}
		if last.Match(log) {
			return log
		}
	}
	t.Fatal("nginx has started no worker in a minute")
	return nil
}

// HAProxy writes "SSL handshake failure" for a handshake that is cut short, unless it is told to be quiet.
func TestHAProxyLogsNoFailure(t *testing.T) {
	t.Parallel()
	pem := files(t, newAuthority().issue(nil))
	web, proxied := refused(t), refused(t)
	file := filepath.Join(t.TempDir(), "haproxy.cfg")
	conf := fmt.Sprintf(`
global
	log stdout format raw daemon
defaults
	log global
	mode http
	option httplog
	option dontlognull
	timeout client 10s
	timeout server 10s
	timeout connect 10s
frontend web
	bind %s ssl crt %s alpn h2,http/1.1
	http-request return status 200
frontend proxied
	bind %s ssl crt %s accept-proxy
	http-request return status 200
`, web, pem, proxied, pem)
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	written := program(t, web, "haproxy", "-db", "-f", file)
	checkOften(t, web, tlsChecks(true)...)
	for _, version := range []pool.HeaderVersion{pool.HeaderV1, pool.HeaderV2} {
		for _, c := range tlsChecks(true) {
			c.Header = version
			checkOften(t, proxied, c)
		}
	}
	out := written()
	for line := range strings.Lines(out) {
		if strings.Contains(line, "failure") || strings.Contains(line, "BADREQ") || strings.Contains(line, "Broken") {
			t.Errorf("haproxy has logged: %s", line)
		}
	}
	if !strings.Contains(out, " 200 ") {
		t.Errorf("haproxy has logged no request:\n%s", out)
	}
}
