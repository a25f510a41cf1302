//go:build linux

package main

import (
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"
)

// plainWeb is a web server without TLS that speaks HTTP/1.1, and HTTP/2 to those that begin with it, after a PROXY header
// or without. It answers with the protocol that it was asked in.
func plainWeb(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var both http.Protocols
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: &both, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s at %s, %d bytes\n", r.Proto, r.Host, len(body))
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.Serve(&proxyproto.Listener{Listener: ln, ConnPolicy: useHeader}) // ends with Close
	}()
	t.Cleanup(func() { s.Close(); <-done })
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// The first job, as the example has it: TLS of example.com and of example.net ends here, each with its own certificate,
// whoever asks for another name, or for none, is shown the default, and a third host passes through the same address.
func TestRealExampleOfTwoCertificatesOnOneAddress(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	through := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{issue(t, a, "vault.example.org")}}, func(c *tls.Conn) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\nConnection: close\r\n\r\nthrough\n")
	})
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"example.com", "example.net"} {
		if err := os.Chmod(filepath.Join(dir, "certs", name+".key"), 0o600); err != nil { // as a checkout does not have it
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "two-certificates-one-address.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	example := strings.NewReplacer(`":443"`, `"127.0.0.1:0"`, `"192.0.2.41:8080", "192.0.2.42:8080"`, `"`+plainWeb(t).String()+`"`,
		"192.0.2.11:443", through.String(), "listeners:", "admin: {listen: \"127.0.0.1:0\"}\nlisteners:",
	).Replace(string(text))
	path := filepath.Join(dir, "two-certificates-one-address.yaml")
	if err := os.WriteFile(path, []byte(example), 0o600); err != nil {
		t.Fatal(err)
	}
	y := &live{process: spawn(t, switchyardCommand(t, "run", path))}
	y.announced(t)
	com, net := filepath.Join(dir, "certs", "example.com.crt"), filepath.Join(dir, "certs", "example.net.crt")
	for _, c := range []struct {
		name, host, ca string
		args           []string
		want           string
	}{
		{"HTTP/1.1", "example.com", com, []string{"--http1.1"}, "HTTP/1.1 at example.com"},
		{"HTTP/2", "www.example.com", com, []string{"--http2"}, "HTTP/2.0 at www.example.com"},
		{"another host of the same route", "example.net", net, []string{"--http2"}, "HTTP/2.0 at example.net"},
		{"TLS 1.2", "example.net", net, []string{"--http2", "--tls-max", "1.2"}, "HTTP/2.0 at example.net"},
		{"a body", "example.com", com, []string{"--http2", "--data-binary", strings.Repeat("x", 100_000)}, "100000 bytes"},
		{"another name, to which the default is shown", "other.example.org", com, []string{"--http2", "--insecure"}, "HTTP/2.0 at other.example.org"},
		{"a host that passes through", "vault.example.org", ca, []string{"--http1.1"}, "through"},
	} {
		out, err := curl(t, y, c.ca, "https://"+c.host+"/", c.args...)
		if err != nil {
			t.Errorf("%s: %v: %s", c.name, err, out)
		}
		wantAll(t, out, c.want)
	}
	for host, file := range map[string]string{"example.com": com, "example.net": net} {
		out, err := opensslGet(t, y, host, file)
		if err != nil {
			t.Errorf("%v: %s", err, out)
		}
		wantAll(t, out, "Verify return code: 0 (ok)", "subject=CN = "+host)
	}
	y.line(t, `"sni":"example.net","id":"[0-9a-f]+","route":"websites","pool":"websites","backend":"[^"]+","cause":"ok","policy":"[0-9a-f]{8}","tls":"1.2"`)
	y.line(t, `"certificate":"[^"]*example.net.crt"`)
	for name, want := range map[string]string{ // "": the client sends none
		"": "example.com", "other.example.org": "example.com", "www.example.net": "example.net", "vault.example.org": "vault.example.org",
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			if got := shownTo(t, y, name, version); got != want {
				t.Errorf("a client that asks for %q with %s is shown %q, want %q", name, tls.VersionName(version), got, want)
			}
		}
	}
	y.line(t, `"sni":"","id":"[0-9a-f]+","route":"websites".*"cause":"ok"`)
	y.stop(t)
}

// shownTo is the first name of the certificate that a client is shown, after a whole handshake; it must then be served.
func shownTo(t *testing.T, y *live, name string, version uint16) string {
	t.Helper()
	c, err := tls.Dial("tcp", y.addr.String(), &tls.Config{ServerName: name, MinVersion: version, MaxVersion: version, InsecureSkipVerify: true})
	if err != nil {
		t.Errorf("%q: %v", name, err)
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	if answer, err := io.ReadAll(c); err != nil || !strings.Contains(string(answer), " 200 OK") {
		t.Errorf("%q: %q, %v", name, answer, err)
	}
	return c.ConnectionState().PeerCertificates[0].DNSNames[0]
}

// clientFiles writes a certificate for a client and its key.
func clientFiles(t *testing.T, c tls.Certificate) []string {
	t.Helper()
	cert, key := certificateFiles(t, c)
	return []string{"-cert", cert, "-key", key}
}

// What openssl s_client meets: versions, groups, sessions, early data and client certificates.
func TestRealOpenSSLMeetsTermination(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	clients := newClientAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	mutualCert, mutualKey := issueFiles(t, a, "mutual.example.com")
	modernCert, modernKey := issueFiles(t, a, "modern.example.com")
	revoked := clients.issue(t, "revoked", time.Now().Add(time.Hour))
	web := plainWeb(t)
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - name: www
    hosts: [www.example.com]
    pool: web
    terminate: {certificates: [{cert: "%s", key: "%s"}]}
  - name: mutual
    hosts: [mutual.example.com]
    pool: web
    terminate:
      certificates: [{cert: "%s", key: "%s"}]
      client_auth: {ca: "%s", crl: "%s"}
  - name: modern
    hosts: [modern.example.com]
    pool: web
    terminate:
      certificates: [{cert: "%s", key: "%s"}]
      min_version: "1.3"
      curves: [X25519MLKEM768, P-384]
pools:
  - {name: web, backends: ["%s"]}
`, cert, key, mutualCert, mutualKey, clients.file(t), clients.list(t, revoked), modernCert, modernKey, web))
	const served = "HTTP/1.0 200 OK"
	for _, c := range []struct {
		name, host string
		args       []string
		want       string // served, or what s_client says
		cause      string // in the log where it is not served
	}{
		{"TLS 1.2", "www.example.com", []string{"-tls1_2"}, "New, TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256", ""},
		{"TLS 1.3", "www.example.com", []string{"-tls1_3"}, "New, TLSv1.3, Cipher is TLS_", ""},
		{"the group X25519", "www.example.com", []string{"-groups", "X25519"}, "Server Temp Key: X25519", ""},
		{"the group P-256", "www.example.com", []string{"-groups", "P-256"}, "Server Temp Key: ECDH, prime256v1", ""},
		{"a share for a group that is not allowed, then another hello", "modern.example.com", []string{"-groups", "X25519:P-384"}, "Server Temp Key: ECDH, secp384r1", ""},
		{"TLS 1.1", "www.example.com", []string{"-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"}, "alert protocol version", "no_common_version\",\"error\":\"no common version: client offered TLS 1.1 and older\""},
		{"TLS 1.2 where 1.3 is asked for", "modern.example.com", []string{"-tls1_2"}, "alert protocol version", "no_common_version\",\"error\":\"no common version: client offered TLS 1.2 and older\""},
		{"a group that is not allowed", "modern.example.com", []string{"-groups", "X25519"}, "handshake failure", "no_common_cipher\",\"error\":\"no common group: client offered x25519\""},
		{"CBC alone", "www.example.com", []string{"-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"}, "handshake failure", "no_common_cipher\",\"error\":\"no common cipher: client offered TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"},
		{"signatures that the certificate cannot make", "www.example.com", []string{"-sigalgs", "RSA-PSS+SHA256"}, "handshake failure", "no_common_cipher\",\"error\":\"client supports no signature algorithm of the certificate: client offered rsa_pss_rsae_sha256\""},
		{"no client certificate", "mutual.example.com", nil, "certificate required", "client_cert_missing"},
		{"a good client certificate", "mutual.example.com", clientFiles(t, clients.issue(t, "good", time.Now().Add(time.Hour))), served, ""},
		{"an expired client certificate", "mutual.example.com", clientFiles(t, clients.issue(t, "old", time.Now().Add(-time.Hour))), "alert certificate expired", "client_cert_expired"},
		{"a revoked client certificate", "mutual.example.com", clientFiles(t, revoked), "alert bad certificate", "client_cert_revoked"},
		{"a client certificate of nobody known", "mutual.example.com", clientFiles(t, selfSigned(t, "stranger")), "alert", "client_cert_refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, _ := opensslGet(t, y, c.host, ca, c.args...)
			wantAll(t, out, c.want)
			if got := strings.Contains(out, served); got != (c.cause == "") {
				t.Errorf("served is %v:\n%s", got, out)
			}
			if c.cause != "" {
				y.line(t, `"sni":"`+c.host+`".*"cause":"`+c.cause)
			}
		})
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		t.Run("sessions resume, "+version, func(t *testing.T) {
			ticket := in(t, "ticket.pem")
			out, err := opensslGet(t, y, "www.example.com", ca, version, "-sess_out", ticket)
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			out, _ = opensslGet(t, y, "www.example.com", ca, version, "-sess_in", ticket)
			wantAll(t, out, "Reused, TLSv1.", served)
			out, _ = opensslGet(t, y, "mutual.example.com", ca, version, "-sess_in", ticket)
			if strings.Contains(out, served) || strings.Contains(out, "Reused") {
				t.Errorf("a session of one host has opened another:\n%s", out)
			}
		})
	}
	t.Run("early data of a session of ours is not sent", func(t *testing.T) {
		ticket, early := in(t, "ticket.pem"), writeFile(t, "early", "GET / HTTP/1.0\r\n\r\n")
		if out, err := opensslGet(t, y, "www.example.com", ca, "-tls1_3", "-sess_out", ticket); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		out, _ := opensslGet(t, y, "www.example.com", ca, "-tls1_3", "-sess_in", ticket, "-early_data", early)
		wantAll(t, out, "Reused, TLSv1.3", served)
		if strings.Contains(out, "Early data was accepted") {
			t.Errorf("early data was accepted:\n%s", out)
		}
	})
	t.Run("early data of another server's session is refused by an alert", func(t *testing.T) {
		ticket, early := in(t, "ticket.pem"), writeFile(t, "early", "GET / HTTP/1.0\r\n\r\n")
		_, other := opensslServer(t, cert, key, "-tls1_3", "-early_data")
		cmd := exec.Command(needProgram(t, "openssl", "openssl"), "s_client", "-connect", other.String(), "-servername", "www.example.com",
			"-tls1_3", "-sess_out", ticket)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		client := spawn(t, cmd)
		client.line(t, "Early data was not sent")
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			if info, err := os.Stat(ticket); err == nil && info.Size() > 0 {
				break // s_client writes the ticket before it has printed it
			}
			if time.Now().After(end) {
				t.Fatal("s_client got no ticket")
			}
		}
		stdin.Close()
		client.exit(t)
		out, _ := opensslGet(t, y, "www.example.com", ca, "-tls1_3", "-sess_in", ticket, "-early_data", early)
		if strings.Contains(out, served) {
			t.Errorf("served all the same:\n%s", out)
		}
		wantAll(t, out, "alert")
		y.line(t, `"sni":"www.example.com".*"cause":"early_data"`)
	})
	y.stop(t)
}

// R28: no byte of a private key is in anything that the program prints or serves.
func TestRealKeysStayInside(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	tickets := writeFile(t, "tickets.key", strings.Repeat("ticket-key-bytes", 5))
	web := plainWeb(t)
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - name: www
    hosts: [www.example.com]
    pool: web
    terminate: {certificates: [{cert: "%s", key: "%s"}], tickets: {keys: ["%s"]}}
pools:
  - {name: web, backends: ["%s"]}
`, cert, key, tickets, web))
	if out, err := curl(t, y, ca, "https://www.example.com/"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.WriteFile(tickets, []byte("broken ticket-key-bytes"), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1100 * time.Millisecond) // a file is looked at once a second
	if out, err := curl(t, y, ca, "https://www.example.com/"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	y.line(t, "a changed file cannot be used")
	said := strings.Join(y.output(), "\n")
	for _, page := range []string{"/metrics", "/healthz", "/readyz", "/"} {
		_, body := y.get(t, page)
		said += body
	}
	pemText, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(pemText)
	for name, secret := range map[string]string{
		"the key": string(block.Bytes), "its text": strings.Join(strings.Fields(string(pemText))[3:4], ""), "a ticket key": "ticket-key-bytes",
	} {
		if strings.Contains(said, secret) {
			t.Errorf("%s was told", name)
		}
	}
	y.signal(t, 3) // SIGQUIT: the dump of a crash
	y.exit(t)
	if dump := strings.Join(y.output(), "\n"); strings.Contains(dump, "ticket-key-bytes") || strings.Contains(dump, string(block.Bytes)) {
		t.Error("the dump holds a key")
	}
}

// useHeader reads a PROXY header where there is one.
func useHeader(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) { return proxyproto.USE, nil }

// R28: no core dump, and nothing to read for another process of the same user.
func TestRealMemoryIsKept(t *testing.T) {
	t.Parallel()
	one := wordServer(t, "one")
	s := steer(t, twoPools(one, one, "one"))
	limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) {
		t.Errorf("core dumps are possible:\n%s", limits)
	}
	info, err := os.Stat(fmt.Sprintf("/proc/%d/mem", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if st := info.Sys().(*syscall.Stat_t); os.Getuid() != 0 && int(st.Uid) == os.Getuid() {
		t.Errorf("user %d may read the memory", st.Uid)
	}
}
