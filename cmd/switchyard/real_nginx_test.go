//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nginx is a web server in a process of its own, with everything it writes below a directory of the test.
type nginx struct {
	*process
	addr netip.AddrPort
}

// startNginx runs nginx with server blocks; LISTEN in them stands for the directive up to the address.
func startNginx(t *testing.T, servers string) *nginx {
	t.Helper()
	path := needProgram(t, "nginx", "nginx")
	prefix := t.TempDir()
	addr := reserve(t)
	config := `
daemon off;
master_process off;
pid nginx.pid;
error_log stderr warn;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	default_type text/plain;
` + strings.ReplaceAll(servers, "LISTEN", "listen "+addr.String()) + "}\n"
	if err := os.WriteFile(filepath.Join(prefix, "nginx.conf"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	n := &nginx{addr: addr, process: spawn(t, exec.Command(path, "-p", prefix, "-c", "nginx.conf", "-e", "stderr"))}
	eventually(t, "nginx listens", func() bool {
		select {
		case <-n.done:
			t.Fatal(n.complain("nginx has ended"))
		default:
		}
		return listens(addr)
	})
	return n
}

// reserve keeps a port for a program that cannot be told to let the kernel choose: it is bound here, and not
// listened on, until the end of the test. The program binds it as well, by SO_REUSEPORT.
func reserve(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	if err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	bound := sa.(*unix.SockaddrInet4)
	return netip.AddrPortFrom(netip.AddrFrom4(bound.Addr), uint16(bound.Port))
}

// listens reports whether somebody listens at addr, and bothers nobody with a connection.
func listens(addr netip.AddrPort) bool {
	tcp, err := os.ReadFile("/proc/net/tcp")
	ip := addr.Addr().As4()
	return err == nil && bytes.Contains(tcp, fmt.Appendf(nil, " %02X%02X%02X%02X:%04X 00000000:0000 0A ", ip[3], ip[2], ip[1], ip[0], addr.Port()))
}

// curl fetches url from the balancer, whatever the host in it, and returns what came.
func curl(t *testing.T, y *live, ca, url string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, needProgram(t, "curl", "curl"),
		append([]string{"--silent", "--show-error", "--noproxy", "*", "--cacert", ca, "--connect-to", "::" + y.addr.String(), url}, args...)...)
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return string(out), err
}

func TestRealNginxSeveralNamesOnOneAddress(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	block := func(host string) string {
		cert, key := issueFiles(t, a, host)
		return fmt.Sprintf(`server {
			LISTEN ssl http2 reuseport;
			server_name %s;
			ssl_certificate %s;
			ssl_certificate_key %s;
			return 200 "$server_name over $server_protocol for $ssl_server_name";
		}
		`, host, cert, key)
	}
	// One nginx with two names, each with its certificate, and another one.
	both := startNginx(t, block("www.example.com")+strings.Replace(block("shop.example.net"), " reuseport", "", 1))
	api := startNginx(t, block("api.example.com"))
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: web, hosts: [www.example.com, shop.example.net], pool: web}
  - {name: api, hosts: [api.example.com], pool: api}
pools:
  - {name: web, backends: ["%s"]}
  - {name: api, backends: ["%s"]}
`, both.addr, api.addr))
	for _, host := range []string{"www.example.com", "shop.example.net", "api.example.com"} {
		for _, http := range []struct{ flag, proto string }{{"--http1.1", "HTTP/1.1"}, {"--http2", "HTTP/2.0"}} {
			t.Run(host+" over "+http.proto, func(t *testing.T) {
				got, err := curl(t, y, ca, "https://"+host+"/", http.flag)
				if want := fmt.Sprintf("%s over %s for %s", host, http.proto, host); err != nil || got != want {
					t.Errorf("got %q, %v; want %q", got, err, want)
				}
			})
		}
	}
	t.Run("two requests over one connection", func(t *testing.T) {
		got, err := curl(t, y, ca, "https://www.example.com/", "https://www.example.com/again", "--write-out", " %{num_connects}\n")
		// The second transfer opens no connection.
		want := "www.example.com over HTTP/2.0 for www.example.com 1\nwww.example.com over HTTP/2.0 for www.example.com 0\n"
		if err != nil || got != want {
			t.Errorf("got %q, %v; want %q", got, err, want)
		}
	})
	t.Run("a name that no route has", func(t *testing.T) {
		if got, err := curl(t, y, ca, "https://nobody.example.com/"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("got %q, %v; want an unrecognized name", got, err)
		}
	})
	y.stop(t)
}

// A backend that reads PROXY headers sees the client, not the balancer.
func TestRealNginxSeesTheClientByPROXYHeader(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	n := startNginx(t, fmt.Sprintf(`server {
		LISTEN ssl http2 proxy_protocol reuseport;
		server_name www.example.com;
		ssl_certificate %s;
		ssl_certificate_key %s;
		set_real_ip_from 127.0.0.0/8;
		real_ip_header proxy_protocol;
		return 200 "$remote_addr:$remote_port to $proxy_protocol_server_addr:$proxy_protocol_server_port by $realip_remote_addr";
	}
	`, cert, key))
	for _, version := range []string{"v1", "v2"} {
		t.Run(version, func(t *testing.T) {
			y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["%s"], proxy_protocol: %s}
`, n.addr, version))
			got, err := curl(t, y, ca, "https://www.example.com/", "--interface", "127.0.0.77", "--write-out", "\n%{local_ip}:%{local_port}")
			if err != nil {
				t.Fatal(err)
			}
			seen, client, _ := strings.Cut(got, "\n")
			if want := fmt.Sprintf("%s to %s by 127.0.0.1", client, y.addr); seen != want || !strings.HasPrefix(client, "127.0.0.77:") {
				t.Errorf("nginx saw %q, want %q", seen, want)
			}
			y.stop(t)
		})
	}
}

// The whole way: curl speaks PROXY v1 to us as the client of another proxy would, and nginx sees that client.
func TestRealNginxSeesTheClientOfTheProxyInFront(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	n := startNginx(t, fmt.Sprintf(`server {
		LISTEN ssl proxy_protocol reuseport;
		server_name www.example.com;
		ssl_certificate %s;
		ssl_certificate_key %s;
		return 200 "$proxy_protocol_addr";
	}
	`, cert, key))
	y := runLive(t, oneListener+fmt.Sprintf(`    proxy_protocol: {from: [127.0.0.78/32]}
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["%s"], proxy_protocol: v2}
`, n.addr))
	header := []string{"--haproxy-protocol", "--interface"}
	got, err := curl(t, y, ca, "https://www.example.com/", append(header, "127.0.0.78")...)
	if want := "127.0.0.78"; err != nil || got != want {
		t.Errorf("from a listed peer: got %q, %v; want %q", got, err, want)
	}
	if got, err := curl(t, y, ca, "https://www.example.com/", append(header, "127.0.0.79")...); err == nil {
		t.Errorf("from a peer that is not listed: got %q, want a refusal", got)
	}
	if got, err := curl(t, y, ca, "https://www.example.com/", "--interface", "127.0.0.78"); err == nil {
		t.Errorf("from a listed peer without a header: got %q, want a refusal", got)
	}
	y.stop(t)
	causes := map[string]int{}
	for _, e := range y.connections(t) {
		causes[e.Cause]++
	}
	if causes["proxy_untrusted"] != 1 || causes["proxy_bad"] != 1 {
		t.Errorf("causes: got %v, want one proxy_untrusted and one proxy_bad", causes)
	}
}

// A server that closes first, as HTTP/1.0 does it, has gone when the client says goodbye: what its kernel answers to
// those bytes is no news to anybody.
func TestRealNginxThatClosesFirstEndsInOrder(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	n := startNginx(t, fmt.Sprintf(`server {
		LISTEN ssl reuseport;
		server_name www.example.com;
		ssl_certificate %s;
		ssl_certificate_key %s;
		return 200 "here";
	}
	`, cert, key))
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["%s"]}
`, n.addr))
	const requests = 30
	for range requests {
		if got, err := curl(t, y, ca, "https://www.example.com/", "--http1.0"); err != nil || got != "here" {
			t.Errorf("got %q, %v", got, err)
		}
	}
	y.stop(t)
	causes := map[string]int{}
	for _, e := range y.connections(t) {
		causes[e.Cause]++
	}
	// Either program may close with the other's close_notify unread, and its kernel then resets before any FIN.
	if causes["ok"] == 0 || causes["ok"]+causes["backend_reset"]+causes["client_reset"] != requests {
		t.Errorf("causes: got %v, want %d, most of them ok", causes, requests)
	}
}

// nginxes that are killed in the middle of the load leave no client without an answer: a hello that a dying backend
// has not answered goes to another one.
func TestRealNginxKilledUnderLoad(t *testing.T) {
	t.Parallel()
	a, _ := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	var backends []*nginx
	for range 3 {
		backends = append(backends, startNginx(t, fmt.Sprintf(`server {
			LISTEN ssl reuseport;
			server_name www.example.com;
			ssl_certificate %s;
			ssl_certificate_key %s;
			return 200 "here";
		}
		`, cert, key)))
	}
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["%s", "%s", "%s"], attempts: 3, connect_timeout: 1s}
`, backends[0].addr, backends[1].addr, backends[2].addr))

	load := startLoad(t, y.addr, a.Pool(), 8)
	eventually(t, "traffic", func() bool { return load.good.Load() > 50 })
	if err := backends[1].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-backends[1].done
	at := load.good.Load()
	eventually(t, "traffic after the kill", func() bool { return load.good.Load() > at+200 })
	load.end()
	if n := load.unanswered.Load(); n != 0 {
		t.Errorf("%d clients failed before they had an answer, the first with: %v", n, *load.first.Load())
	}
	t.Logf("%d good, %d cut in the middle of an answer", load.good.Load(), load.cut.Load())
	dead := fmt.Sprintf(`switchyard_backend_failures_total{backend="%s",pool="web"}`, backends[1].addr)
	if y.scrape(t)[dead] == 0 {
		t.Errorf("%s is 0: the killed backend was not tried", dead)
	}
	y.stop(t)
}

// handshakeTimeout bounds one connection of a load. None comes near it.
const handshakeTimeout = 20 * time.Second
