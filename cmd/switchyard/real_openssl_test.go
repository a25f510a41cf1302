//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// opensslServer starts s_server, on a port that the kernel chooses, with a certificate for host. It returns where it listens.
func opensslServer(t *testing.T, cert, key string, args ...string) (*process, netip.AddrPort) {
	t.Helper()
	cmd := exec.Command(needProgram(t, "openssl", "openssl"),
		append([]string{"s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key}, args...)...)
	// Held open: at its end the server would end the session.
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	p := spawn(t, cmd)
	return p, netip.MustParseAddrPort(p.line(t, `^ACCEPT (127\.0\.0\.1:\d+)$`)[1])
}

// opensslGet asks for the status page of an s_server -www by way of the balancer, and returns what s_client printed:
// its view of the session, and the page with the server's.
//
// An empty host is none at all.
func opensslGet(t *testing.T, y *live, host, ca string, args ...string) (string, error) {
	t.Helper()
	if host != "" {
		args = append(args, "-servername", host, "-verify_hostname", host)
	} else {
		args = append(args, "-noservername")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, needProgram(t, "openssl", "openssl"), append([]string{"s_client", "-connect", y.addr.String(),
		"-CAfile", ca, "-verify_return_error", "-ign_eof"}, args...)...)
	cmd.Stdin = strings.NewReader("GET / HTTP/1.0\r\n\r\n")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

// wantAll fails for every text that output lacks.
func wantAll(t *testing.T, output string, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(output, text) {
			t.Errorf("output lacks %q:\n%s", text, output)
		}
	}
}

func TestRealOpenSSLBothEnds(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	_, web := opensslServer(t, cert, key, "-www")
	p384Cert, p384Key := issueFiles(t, a, "p384.example.com")
	_, p384 := opensslServer(t, p384Cert, p384Key, "-www", "-groups", "P-384")
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
  - {name: p384, hosts: [p384.example.com], pool: p384}
pools:
  - {name: web, backends: ["%s"]}
  - {name: p384, backends: ["%s"]}
`, web, p384))
	for _, c := range []struct {
		name, host string
		args       []string
		want       []string
	}{
		{"TLS 1.2", "www.example.com", []string{"-tls1_2"}, []string{"New, TLSv1.2,"}},
		{"TLS 1.3", "www.example.com", []string{"-tls1_3"}, []string{"New, TLSv1.3,", "Server Temp Key: X25519"}},
		{"the group P-256", "www.example.com", []string{"-groups", "P-256"}, []string{"Server Temp Key: ECDH, prime256v1"}},
		{"the group X448", "www.example.com", []string{"-groups", "X448"}, []string{"Server Temp Key: X448"}},
		{"a share for a group that the server refuses, then another hello", "p384.example.com", []string{"-groups", "X25519:P-384"},
			[]string{"New, TLSv1.3,", "Server Temp Key: ECDH, secp384r1"}},
		{"ALPN that nobody agrees on", "www.example.com", []string{"-alpn", "h2,http/1.1"}, []string{"No ALPN negotiated"}},
		{"records of 512 bytes", "www.example.com", []string{"-maxfraglen", "512"}, []string{"New, TLSv1.3,"}},
		{"an upper case name", "WWW.Example.COM", nil, []string{"New, TLSv1.3,"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := opensslGet(t, y, c.host, ca, c.args...)
			if err != nil {
				t.Fatalf("s_client: %v:\n%s", err, out)
			}
			wantAll(t, out, append(c.want, "Verify return code: 0 (ok)", "HTTP/1.0 200 ok")...)
		})
	}
	t.Run("a name that no route has is refused by an alert", func(t *testing.T) {
		out, err := opensslGet(t, y, "nobody.example.com", ca)
		if err == nil {
			t.Error("s_client has succeeded")
		}
		wantAll(t, out, "unrecognized name")
	})
	t.Run("no name is refused by an alert", func(t *testing.T) {
		out, err := opensslGet(t, y, "", ca)
		if err == nil {
			t.Error("s_client has succeeded")
		}
		wantAll(t, out, "alert missing extension")
	})
	y.stop(t)
}

func TestRealOpenSSLSessionsResume(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	_, web := opensslServer(t, cert, key, "-www")
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["%s"]}
`, web))
	for _, c := range []struct{ flag, version string }{{"-tls1_2", "TLSv1.2"}, {"-tls1_3", "TLSv1.3"}} {
		t.Run(c.version, func(t *testing.T) {
			ticket := in(t, "ticket.pem")
			out, err := opensslGet(t, y, "www.example.com", ca, c.flag, "-sess_out", ticket)
			if err != nil {
				t.Fatalf("s_client: %v:\n%s", err, out)
			}
			wantAll(t, out, "New, "+c.version)
			out, err = opensslGet(t, y, "www.example.com", ca, c.flag, "-sess_in", ticket)
			if err != nil {
				t.Fatalf("s_client: %v:\n%s", err, out)
			}
			wantAll(t, out, "Reused, "+c.version, "HTTP/1.0 200 ok")
		})
	}
	y.stop(t)
}

func TestRealOpenSSLClientCertificate(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "mutual.example.com")
	personCert, personKey := certificateFiles(t, selfSigned(t, "alice"))
	strangerCert, strangerKey := certificateFiles(t, selfSigned(t, "mallory"))
	_, mutual := opensslServer(t, cert, key, "-www", "-Verify", "1", "-verify_return_error", "-CAfile", personCert)
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: mutual, hosts: [mutual.example.com], pool: mutual}
pools:
  - {name: mutual, backends: ["%s"]}
`, mutual))

	out, err := opensslGet(t, y, "mutual.example.com", ca, "-cert", personCert, "-key", personKey)
	if err != nil {
		t.Fatalf("s_client: %v:\n%s", err, out)
	}
	wantAll(t, out, "HTTP/1.0 200 ok", "Client certificate", "Subject: CN=alice")

	for _, c := range []struct {
		name string
		args []string
	}{{"a stranger's certificate", []string{"-cert", strangerCert, "-key", strangerKey}}, {"no certificate", nil}} {
		t.Run(c.name, func(t *testing.T) {
			out, err := opensslGet(t, y, "mutual.example.com", ca, c.args...)
			if err == nil || strings.Contains(out, "200 ok") {
				t.Errorf("the backend has served it:\n%s", out)
			}
		})
	}
	y.stop(t)
}

// Early data is in the same flight as the hello: both have to arrive, whole and once.
func TestRealOpenSSLEarlyData(t *testing.T) {
	t.Parallel()
	a, ca := newAuthority(t)
	cert, key := issueFiles(t, a, "www.example.com")
	server, web := opensslServer(t, cert, key, "-tls1_3", "-early_data")
	y := runLive(t, oneListener+fmt.Sprintf(`
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["%s"]}
`, web))
	early := strings.Repeat("0123456789abcdef\n", 480) // 8160 bytes: what s_client and s_server take in one piece
	first, second := in(t, "first.pem"), in(t, "second.pem")
	opensslUntilTicket(t, y, ca, first)
	out := opensslUntilTicket(t, y, ca, second, "-sess_in", first, "-early_data", writeFile(t, "early", early))
	wantAll(t, out, "Reused, TLSv1.3", "Early data was accepted")

	server.line(t, `^End of early data$`)
	printed := strings.Join(server.output(), "\n")
	if n := strings.Count(printed, early); n != 1 {
		t.Errorf("the server has printed the early data %d times, want once", n)
	}
	y.stop(t)
}

// opensslUntilTicket holds a session with www.example.com until its ticket is in the file, and returns what was printed.
func opensslUntilTicket(t *testing.T, y *live, ca, ticket string, args ...string) string {
	t.Helper()
	cmd := exec.Command(needProgram(t, "openssl", "openssl"), append([]string{"s_client", "-connect", y.addr.String(),
		"-servername", "www.example.com", "-CAfile", ca, "-verify_return_error", "-sess_out", ticket}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := spawn(t, cmd)
	eventually(t, "a session ticket from the backend", func() bool {
		b, err := os.ReadFile(ticket)
		return err == nil && bytes.Contains(b, []byte("-----END SSL SESSION PARAMETERS-----"))
	})
	fmt.Fprintln(stdin, "Q")
	if code := p.exit(t); code != 0 {
		t.Fatal(p.complain("s_client has failed"))
	}
	return strings.Join(p.output(), "\n")
}
