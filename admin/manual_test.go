package admin

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const apiManual = "../docs/admin-api.md"

// example is one curl command of docs/admin-api.md.
type example struct{ method, url, body string }

// readExamples takes the commands of a shell block apart.
func readExamples(t *testing.T, block string) (all []example) {
	t.Helper()
	re := regexp.MustCompile(`(?s)curl --unix-socket \$SOCKET( -X [A-Z]+)?( (?:-d|--data-binary) '[^']*')? '?http://switchyard(/[^'\s]*)'?\n`)
	for _, m := range re.FindAllStringSubmatch(block, -1) {
		e := example{method: strings.TrimPrefix(m[1], " -X "), url: m[3]}
		if _, body, ok := strings.Cut(m[2], "'"); ok {
			e.body = strings.TrimSuffix(body, "'")
		}
		switch {
		case e.method != "":
		case e.body != "":
			e.method = http.MethodPost
		default:
			e.method = http.MethodGet
		}
		all = append(all, e)
	}
	if n := strings.Count(block, "curl "); n != len(all) || n == 0 {
		t.Fatalf("%d of %d commands are understood in\n%s", len(all), n, block)
	}
	return all
}

// TestManualOfTheAPIShowsWhatHappens runs the examples of docs/admin-api.md, in their order, against a balancer with one
// live connection. Of a block with several commands the last one's answer is shown.
func TestManualOfTheAPIShowsWhatHappens(t *testing.T) {
	text, err := os.ReadFile(apiManual)
	if err != nil {
		t.Fatal(err)
	}
	backend := listenAndAnswer(t)
	certs := t.TempDir()
	pemFiles(t, certs, "secure", ecKey(), "Example CA", quarter, "secure.example.com", "secure.example.net")
	const after = "reject: reset}\n"
	y := newYardOf(t, strings.NewReplacer("127.0.0.1:9101", backend, after, after+"  - {name: secure, hosts: [secure.example.com], pool: other, terminate: "+
		"{certificates: [{cert: "+certs+"/secure.crt, key: "+certs+"/secure.key}]}}\n").Replace(yardFile))
	hold(t, y, "www.example.com")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```\n\n```json ([0-9]+)\n(.*?)```\n")
	got := blocks.ReplaceAllStringFunc(string(text), func(block string) string {
		m := blocks.FindStringSubmatch(block)
		var code int
		var answer string
		for _, e := range readExamples(t, m[1]) {
			swap := strings.NewReplacer("127.0.0.1:9101", backend)
			code, answer = y.ask(e.method, swap.Replace(e.url), swap.Replace(e.body))
		}
		if strconv.Itoa(code) != m[2] {
			t.Errorf("%s\nis answered %d %s, the page says %s", m[1], code, answer, m[2])
		}
		return "```sh\n" + m[1] + "```\n\n```json " + m[2] + "\n" + clip(settle(strings.ReplaceAll(answer, certs, "/etc/switchyard"), backend, y.file)) + "```\n"
	})
	golden(t, apiManual, got)
}

// settle makes the same of every run what differs between runs.
func settle(answer, backend, file string) string {
	for _, r := range []struct{ pattern, to string }{
		{regexp.QuoteMeta(backend), "127.0.0.1:9101"},
		{regexp.QuoteMeta(file), "/etc/switchyard/switchyard.yaml"},
		{`"20\d\d-\d\d-\d\dT[^"]*"`, `"2026-11-24T08:30:00Z"`},
		{`"not_after": "[^"]*"`, `"not_after": "2027-02-22T08:30:00Z"`},
		{`"[0-9a-f]{64}"`, `"` + strings.Repeat("5e", 32) + `"`},
		{`"id": "[0-9a-f]{32}"`, `"id": "0123456789abcdef0000000000000007"`},
		{`"client": "127.0.0.1:\d+"`, `"client": "127.0.0.1:40404"`},
		{`"127.0.0.1:[1-9]\d{4}"`, `"127.0.0.1:8443"`},
		{`"(uptime_s|age_s|mean_s|p50_s|p99_s)": [0-9.e-]+`, `"$1": 0.001`},
		{`"limit": \d+`, `"limit": 9900`},
		{`"bytes_in": [1-9]\d*`, `"bytes_in": 1540`},
	} {
		answer = regexp.MustCompile(r.pattern).ReplaceAllString(answer, r.to)
	}
	return answer
}

// clip shows as much of an answer as a page should.
func clip(answer string) string {
	const most = 45
	lines := strings.SplitAfter(answer, "\n")
	if len(lines) <= most {
		return answer
	}
	return strings.Join(lines[:most-5], "") + "...\n"
}

// The page has every verb that there is, and no other.
func TestManualOfTheAPIHasEveryVerb(t *testing.T) {
	text, err := os.ReadFile(apiManual)
	if err != nil {
		t.Fatal(err)
	}
	var want, got []string
	for _, e := range verbs(&state{}, slog.New(slog.DiscardHandler)) {
		for method := range e.methods {
			want = append(want, method+" "+e.path)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### ([A-Z]+ /.*)$`).FindAllStringSubmatch(string(text), -1) {
		got = append(got, m[1])
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		t.Errorf("the page has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// listenAndAnswer is a backend that sends a byte to everybody, and says no more.
func listenAndAnswer(t *testing.T) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			_, _ = c.Write([]byte{0x16})
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// hold opens a connection for a name through the first listener of y, and waits for the backend's first byte.
func hold(t *testing.T, y *yard, name string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", y.balancer.Addrs("public")[0].String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := c.Write(clientHello(t, name)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	return c
}

// clientHello is what crypto/tls sends first.
func clientHello(t *testing.T, name string) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = tls.Client(theirs, &tls.Config{ServerName: name}).Handshake() // it is hung up on
	}()
	b := make([]byte, 16<<10)
	n, err := ours.Read(b)
	ours.Close()
	<-done
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}
