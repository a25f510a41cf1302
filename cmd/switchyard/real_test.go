//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests in real_*_test.go use the program as an operator does: as a process of its own with a file of its own,
// between TLS stacks that others wrote.
//
//	client ───────────────> switchyard run FILE ───────────> backend
//	crypto/tls, openssl,    always a child process           crypto/tls, openssl s_server,
//	curl                                                     nginx
//
// They install nothing. A program that is missing is a reason to skip, and under CI=true, where .ci/deps.sh has
// installed it, a failure.

// patience is how long a test waits for what has to happen. Only how late a failure is told depends on it.
const patience = 40 * time.Second

// missingProgram is why a test cannot run on this machine.
type missingProgram struct{ program, pkg string }

func (m missingProgram) Error() string {
	return fmt.Sprintf("no program %s on this machine: it is in the Debian package %s (make ci-deps installs it)", m.program, m.pkg)
}

// needProgram returns the path of a program, also of one that only root has in its PATH.
func needProgram(t *testing.T, program, pkg string) string {
	t.Helper()
	for _, try := range []string{program, "/usr/sbin/" + program, "/sbin/" + program} {
		if path, err := exec.LookPath(try); err == nil {
			return path
		}
	}
	if err := (missingProgram{program, pkg}); os.Getenv("CI") == "true" {
		t.Fatal(err)
	} else {
		t.Skip(err)
	}
	return ""
}

// spawn starts cmd. It is killed at the end of the test if it still runs, and when the test dies.
func spawn(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{}), more: make(chan struct{})}
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		p.collect(r)
	}()
	go func() {
		_ = cmd.Wait() // its status is in ProcessState
		w.Close()
		<-read
		close(p.done)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error means that it has ended
		<-p.done
		if t.Failed() {
			t.Logf("%s", p.complain(filepath.Base(cmd.Path)+" has printed, up to its end"))
		}
	})
	return p
}

// line waits for a line of p that matches, and returns the submatches.
func (p *process) line(t *testing.T, expr string) []string {
	t.Helper()
	m, err := p.waitFor(regexp.MustCompile(expr))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// exit waits for the end of p and returns its exit status.
func (p *process) exit(t *testing.T) int {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatal(p.complain("still runs"))
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// output is what p has printed by now.
func (p *process) output() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lines[:len(p.lines):len(p.lines)]
}

// live is a balancer that runs as a process of its own.
type live struct {
	*process
	addr  netip.AddrPort // of its listener "public"
	pages string         // URL of its admin pages
}

// oneListener starts a configuration: one listener, admin pages, ports that the kernel chooses.
const oneListener = `
admin: {listen: "127.0.0.1:0"}
listeners:
  - name: public
    bind: ["127.0.0.1:0"]
`

// runLive writes the configuration to a file and starts `switchyard run` with it.
func runLive(t *testing.T, config string) *live {
	t.Helper()
	y := &live{process: spawn(t, switchyardCommand(t, "run", writeFile(t, "switchyard.yaml", config)))}
	y.announced(t)
	y.line(t, `"msg":"started"`)
	return y
}

// announced reads from the log where y listens.
func (y *live) announced(t *testing.T) {
	t.Helper()
	y.addr = netip.MustParseAddrPort(y.line(t, `"msg":"listening","listener":"public","address":"([^"]+)"`)[1])
	y.pages = y.line(t, `"msg":"admin pages","address":"([^"]+)"`)[1]
}

// switchyardCommand is the program under test: this test's binary under another name, see TestMain.
func switchyardCommand(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	path, err := exec.LookPath("switchyard")
	if err != nil {
		t.Fatal(err)
	}
	return exec.Command(path, args...)
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stop ends the balancer with SIGTERM and wants it to have drained.
func (y *live) stop(t *testing.T) {
	t.Helper()
	y.signal(t, syscall.SIGTERM)
	if code := y.exit(t); code != 0 {
		t.Errorf("exit status after SIGTERM: got %d, want 0", code)
	}
}

// get fetches one of the admin pages.
func (y *live) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(y.pages + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// series are the values of a scrape by name and labels, as written: `switchyard_ready`, `switchyard_x_total{listener="public"}`.
type series map[string]float64

func (y *live) scrape(t *testing.T) series {
	t.Helper()
	status, body := y.get(t, "metrics")
	if status != http.StatusOK {
		t.Fatalf("/metrics: status %d", status)
	}
	s := series{}
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		i := strings.LastIndexByte(line, ' ')
		v, err := strconv.ParseFloat(strings.TrimSpace(line[i+1:]), 64)
		if err != nil {
			t.Fatalf("/metrics: line %q: %v", line, err)
		}
		s[line[:i]] = v
	}
	return s
}

// sum adds up all series whose name and labels start with prefix.
func (s series) sum(prefix string) (total float64) {
	for k, v := range s {
		if strings.HasPrefix(k, prefix) {
			total += v
		}
	}
	return total
}

// ended is the log line of a connection.
type ended struct {
	Time     time.Time `json:"time"`
	Level    string    `json:"level"`
	Msg      string    `json:"msg"`
	Listener string    `json:"listener"`
	Client   string    `json:"client"`
	SNI      string    `json:"sni"`
	ID       string    `json:"id"`
	Route    string    `json:"route"`
	Pool     string    `json:"pool"`
	Backend  string    `json:"backend"`
	Cause    string    `json:"cause"`
	Error    string    `json:"error"`
	Attempts int       `json:"attempts"`
	Hello    float64   `json:"hello_s"`
	Dial     float64   `json:"dial_s"`
	Duration float64   `json:"duration_s"`

	// Of connections whose TLS ends here.
	Policy      string  `json:"policy"`
	TLS         string  `json:"tls"`
	Cipher      string  `json:"cipher"`
	Group       string  `json:"group"`
	ALPN        string  `json:"alpn"`
	Certificate string  `json:"certificate"`
	ClientCN    string  `json:"client_cn"`
	Resumed     bool    `json:"resumed"`
	Handshake   float64 `json:"handshake_s"`

	BytesIn  uint64 `json:"bytes_in"`
	BytesOut uint64 `json:"bytes_out"`
}

// connections are the lines of connections that have ended by now. A line with a key that ended does not have is a failure.
func (y *live) connections(t *testing.T) (all []ended) {
	t.Helper()
	for _, line := range y.output() {
		if !strings.Contains(line, `"msg":"connection"`) {
			continue
		}
		var e ended
		d := json.NewDecoder(strings.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil {
			t.Fatalf("log line %s: %v", line, err)
		}
		all = append(all, e)
	}
	return all
}

// eventually waits until done reports true.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
