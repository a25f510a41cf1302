package peek

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
)

func TestAppendAlert(t *testing.T) {
	got := AppendAlert([]byte("x"), AlertDecodeError)
	if want := []byte{'x', 21, 3, 3, 0, 2, 2, 50}; !bytes.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	var f ServerFlight
	if err := ParseServerFlight(got[1:], &f); err != nil || !f.Alert || f.AlertDescription != AlertDecodeError {
		t.Errorf("reads back as %v, %+v", err, f)
	}
}

// A client of each version, before anything is agreed on, takes our alert for what it says.
func TestAlertIsUnderstoodByGo(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS10, tls.VersionTLS11, tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(VersionName(version), func(t *testing.T) {
			conn := &scripted{}
			conn.received.Reset(AppendAlert(nil, AlertUnrecognizedName))
			err := tls.Client(conn, &tls.Config{ServerName: corpusName, MinVersion: version, MaxVersion: version}).Handshake()
			if want := "remote error: tls: unrecognized name"; err == nil || err.Error() != want {
				t.Errorf("got %v, want %q", err, want)
			}
		})
	}
}

// The same with the programs on this machine, by their own words for the alert.
func TestAlertIsUnderstoodByOthers(t *testing.T) {
	tests := []struct {
		name string
		want string
		argv []string // PORT is replaced
	}{
		{"OpenSSL", "alert number 112", []string{"openssl", "s_client", "-connect", "127.0.0.1:PORT"}},
		{"OpenSSL TLS 1.2", "alert number 112", []string{"openssl", "s_client", "-tls1_2", "-connect", "127.0.0.1:PORT"}},
		{"OpenSSL TLS 1.0", "alert number 112",
			[]string{"openssl", "s_client", "-tls1", "-cipher", "DEFAULT@SECLEVEL=0", "-connect", "127.0.0.1:PORT"}},
		{"curl", "unrecognized name", []string{"curl", "-skS", "--noproxy", "*", "https://127.0.0.1:PORT/"}},
		{"Wget", "not recognized", []string{"wget", "-O", "-", "--tries=1", "--no-proxy",
			"--no-check-certificate", "https://127.0.0.1:PORT/"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := exec.LookPath(tt.argv[0]); err != nil {
				t.Skipf("program missing: %v", err)
			}
			var hellos atomic.Int32
			_, port, err := net.SplitHostPort(refuser(t, &hellos))
			if err != nil {
				t.Fatal(err)
			}
			for i, arg := range tt.argv {
				tt.argv[i] = strings.ReplaceAll(arg, "PORT", port)
			}
			out, _ := exec.CommandContext(t.Context(), tt.argv[0], tt.argv[1:]...).CombinedOutput()
			if hellos.Load() == 0 {
				t.Skipf("sent no hello: this build does not speak that version:\n%s", out)
			}
			if !strings.Contains(string(out), tt.want) {
				t.Errorf("%q does not say %q:\n%s", tt.argv, tt.want, out)
			}
		})
	}
}

// refuser reads hellos, counts them, and answers with an alert, so that no reset overtakes it.
func refuser(t *testing.T, hellos *atomic.Int32) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			refuse(conn.(*net.TCPConn), hellos)
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().String()
}

func refuse(conn *net.TCPConn, hellos *atomic.Int32) {
	defer conn.Close()
	var p Parser
	var h Hello
	var b []byte
	for err := ErrIncomplete; err == ErrIncomplete; err = p.Parse(b, &h) {
		part := make([]byte, 4096)
		n, err := conn.Read(part)
		if err != nil {
			return
		}
		b = append(b, part[:n]...)
	}
	hellos.Add(1)
	_, _ = conn.Write(AppendAlert(nil, AlertUnrecognizedName))
	_ = conn.CloseWrite()
	_, _ = io.Copy(io.Discard, conn)
}
