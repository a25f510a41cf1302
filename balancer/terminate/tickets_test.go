package terminate

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

var quiet = slog.New(slog.DiscardHandler)

// ringOf is a ring under a policy with that digest.
func ringOf(t *Tickets, digest [32]byte) (*ticketRing, error) {
	r, wrong := newTicketRing(t)
	if wrong != nil {
		return nil, wrong
	}
	return r.under(digest), nil
}

// opens reports whether a ticket made with one config is opened with another.
func opens(t *testing.T, by *tls.Config, ticket []byte) bool {
	t.Helper()
	ss, err := by.DecryptTicket(ticket, tls.ConnectionState{})
	return err == nil && ss != nil
}

// ticketOf makes a ticket with the present key of cfg.
func ticketOf(t *testing.T, cfg *tls.Config) []byte {
	t.Helper()
	here, there := pipe(t)
	server := cfg.Clone()
	server.Certificates = []tls.Certificate{testCertificate(t)}
	var ticket []byte
	server.WrapSession = func(cs tls.ConnectionState, ss *tls.SessionState) (b []byte, err error) {
		b, err = cfg.EncryptTicket(cs, ss)
		ticket = b
		return b, err
	}
	done := make(chan error, 1)
	go func() { done <- tls.Server(there, server).Handshake() }()
	c := tls.Client(here, &tls.Config{InsecureSkipVerify: true, ServerName: "x", ClientSessionCache: tls.NewLRUClientSessionCache(1)})
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return ticket
}

func TestTicketKeysOfTheProcessRotate(t *testing.T) {
	r, err := ringOf(&Tickets{Rotate: time.Hour}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{}
	start := time.Unix(1_000_000*3600, 0)
	r.refresh(cfg, start, quiet, here)
	ticket := ticketOf(t, cfg)
	for _, tt := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {59 * time.Minute, true}, {time.Hour, true}, {2*time.Hour + 59*time.Minute, true}, {3 * time.Hour, false}, {time.Hour, false}} {
		r.refresh(cfg, start.Add(tt.after), quiet, here)
		if got := opens(t, cfg, ticket); got != tt.want {
			t.Errorf("after %v a ticket is opened: %v", tt.after, got)
		}
	}
}

// A clock that was far ahead for a moment neither stops the rotation nor, set right, brings a key back.
func TestTicketKeysRotateAfterTheClockWasAhead(t *testing.T) {
	r, err := ringOf(&Tickets{Rotate: time.Hour}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{}
	right := time.Unix(1_000_000*3600, 0)
	r.refresh(cfg, right, quiet, here)
	old := ticketOf(t, cfg)
	r.refresh(cfg, right.Add(365*24*time.Hour), quiet, here)
	r.refresh(cfg, right, quiet, here)
	if opens(t, cfg, old) {
		t.Error("a ticket from before the clock was ahead is opened")
	}
	ticket := ticketOf(t, cfg)
	r.refresh(cfg, right.Add(2*time.Hour), quiet, here)
	if !opens(t, cfg, ticket) {
		t.Error("a ticket is not opened after two hours")
	}
	r.refresh(cfg, right.Add(3*time.Hour), quiet, here)
	if opens(t, cfg, ticket) {
		t.Error("a ticket is opened after three hours: its key does not rotate")
	}
}

// Another policy of the same process, at the same time, and with the same file, opens nothing.
func TestTicketsOfAnotherPolicyStayClosed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(file, bytes.Repeat([]byte{7}, 80), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, files := range [][]string{nil, {file}} {
		var all []*tls.Config
		for _, digest := range [][32]byte{{1}, {1}, {2}} {
			r, err := ringOf(&Tickets{Files: files}, digest)
			if err != nil {
				t.Fatal(err)
			}
			cfg := &tls.Config{}
			r.refresh(cfg, time.Now(), quiet, here)
			all = append(all, cfg)
		}
		ticket := ticketOf(t, all[0])
		if !opens(t, all[1], ticket) {
			t.Error("the same policy after a reload does not open its own ticket")
		}
		if opens(t, all[2], ticket) {
			t.Error("another policy opens the ticket")
		}
	}
}

func TestTicketKeysOfAFileAreFollowed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	write := func(data []byte, at int) {
		t.Helper()
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		stamp := time.Unix(1_700_000_000+int64(at), 0)
		if err := os.Chtimes(path, stamp, stamp); err != nil {
			t.Fatal(err)
		}
	}
	line := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 48)) + "\n" }
	write(bytes.Repeat([]byte{1}, 80), 1)
	r, err := ringOf(&Tickets{Files: []string{path}}, [32]byte{1})
	if err != nil {
		t.Fatal(err)
	}
	cfg, now := &tls.Config{}, time.Now()
	r.refresh(cfg, now, quiet, here)
	old := ticketOf(t, cfg)
	step := func(data []byte, at int) {
		write(data, at)
		now = now.Add(lookEvery)
		r.refresh(cfg, now, quiet, here)
	}
	step([]byte(line(2)+"\n"+line(3)), 2)
	second := ticketOf(t, cfg)
	if opens(t, cfg, old) {
		t.Error("a key that is gone opens a ticket")
	}
	step([]byte(line(4)+line(2)), 3)
	if !opens(t, cfg, second) {
		t.Error("a key that is now the second opens no ticket")
	}
	var log bytes.Buffer
	write([]byte("no keys: secret-bytes"), 4)
	now = now.Add(lookEvery)
	for range 3 {
		r.refresh(cfg, now, slog.New(slog.NewTextHandler(&log, nil)), here)
		now = now.Add(lookEvery)
	}
	if !opens(t, cfg, second) {
		t.Error("a broken file has taken the keys away")
	}
	if text := log.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "secret-bytes") {
		t.Errorf("the log says: %s", text)
	}
}

func TestFilesOfTicketKeys(t *testing.T) {
	key := bytes.Repeat([]byte{9}, 48)
	in64 := base64.StdEncoding.EncodeToString(key)
	for _, tt := range []struct {
		name string
		data string
		keys int // 0: refused
	}{
		{"48 bytes", string(key), 1},
		{"80 bytes", strings.Repeat("k", 80), 1},
		{"a line of base64", in64, 1},
		{"three lines, as HAProxy has them", in64 + "\n" + in64 + "\n" + in64 + "\n", 3},
		{"nothing", "", 0},
		{"47 bytes", string(key[1:]), 0},
		{"base64 of 47 bytes", base64.StdEncoding.EncodeToString(key[1:]), 0},
		{"a good line and a bad one", in64 + "\nabc\n", 0},
	} {
		keys, err := parseTicketKeys("keys", []byte(tt.data))
		if len(keys) != tt.keys || (err == nil) != (tt.keys > 0) {
			t.Errorf("%s: %d keys, %v", tt.name, len(keys), err)
		}
	}
	wrapped := base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 80))
	_, err := parseTicketKeys("keys", []byte(wrapped[:64]+"\n"+wrapped[64:]+"\n")) // as openssl rand -base64 80 prints it
	if e, ok := errors.AsType[*certs.Error](err); !ok || !strings.Contains(e.Why, "one key in base64 on several lines") || !strings.Contains(e.Hint, "openssl rand -base64 -A 80") {
		t.Errorf("a key in base64 on two lines: %+v", e)
	}
}
