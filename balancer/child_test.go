package balancer

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"testing"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/route"
)

// A balancer in a process of its own: for what is counted by process (memory, descriptors, CPU time), or set for one
// (RLIMIT_NOFILE, a network namespace).
//
//	test ── commands, a line each ──▶ stdin  ┌─────────────────┐
//	     ◀─ a report for each ─────── stdout │ TestMain of the │
//	     ◀─ log ───────────────────── stderr │ same binary     │
//	                                         └─────────────────┘

// childSpec is what the balancer in the child serves.
type childSpec struct {
	Bind         []string
	Backends     []string // of the pool for a.example.com
	HelloTimeout time.Duration
	Max          int    // max_connections of the process; 0: derived
	ListenerMax  int    // of the listener
	Descriptors  uint64 // RLIMIT_NOFILE; 0: as it is
	LogLines     bool   // one per connection
	Stalled      time.Duration
	Answer       time.Duration
	Connect      time.Duration
	Outlier      *pool.Outlier
	Health       *pool.Check
	Terminate    string // host whose TLS ends there; "": none
	Turns        int    // handshakes at one time; 0: the default
	PerSource    HandshakeRate
	Every        time.Duration // between handshakes
}

// childReport is what the child answers to every command.
type childReport struct {
	Addr   string
	Limits Limits
	Stats  Stats
	Memory uint64 // heap objects and goroutine stacks, after a collection
	FDs    int
	Gos    int
	CPU    time.Duration
}

const childEnv = "SWITCHYARD_TEST_CHILD"

// TestChildProcess is not a test: it is what the other process runs.
func TestChildProcess(t *testing.T) {
	spec := os.Getenv(childEnv)
	if spec == "" {
		t.Skip("runs in the processes that other tests start")
	}
	var s childSpec
	if err := json.Unmarshal([]byte(spec), &s); err != nil {
		t.Fatal(err)
	}
	s.run()
	os.Exit(0) // says nothing on stdout that is no report
}

// run serves until stdin ends.
func (spec *childSpec) run() {
	if spec.Descriptors > 0 {
		limit := syscall.Rlimit{Cur: spec.Descriptors, Max: spec.Descriptors}
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
			panic(err)
		}
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	s, err := New(spec.config(), Options{Log: log, LogConnections: spec.LogLines, Loops: 2, Handshakes: spec.Turns})
	if err != nil {
		panic(err)
	}
	var eaten []*os.File
	out := json.NewEncoder(os.Stdout)
	for in := bufio.NewScanner(os.Stdin); ; {
		if err := out.Encode(reportOf(s)); err != nil || !in.Scan() {
			break
		}
		switch in.Text() {
		case "eat": // take every descriptor there is, but for a few
			for f, err := os.Open(os.DevNull); err == nil; f, err = os.Open(os.DevNull) {
				eaten = append(eaten, f)
			}
			eaten = release(eaten, 20)
		case "release":
			eaten = release(eaten, len(eaten))
		}
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	s.Shutdown(now)
}

func release(files []*os.File, n int) []*os.File {
	for _, f := range files[len(files)-n:] {
		f.Close()
	}
	return files[:len(files)-n]
}

func (spec *childSpec) config() *Config {
	p := testPool("pool", spec.Backends...)
	p.StalledTimeout = spec.Stalled
	if spec.Answer > 0 {
		p.AnswerTimeout = spec.Answer
	}
	if spec.Connect > 0 {
		p.ConnectTimeout = spec.Connect
	}
	p.Outlier, p.Health, p.PanicBelow = spec.Outlier, spec.Health, 50
	cfg := oneHost("a.example.com", p)
	l := &cfg.Listeners[0]
	l.UnknownSNI = reject(route.RejectReset)
	l.MaxConnections = spec.ListenerMax
	if spec.HelloTimeout > 0 {
		l.HelloTimeout = spec.HelloTimeout
	}
	if len(spec.Bind) > 0 {
		l.Bind = addrs(spec.Bind...)
	}
	cfg.MaxConnections, cfg.Handshakes, cfg.HandshakeEvery = spec.Max, spec.PerSource, spec.Every
	if spec.Terminate != "" {
		cert, err := selfSigned(spec.Terminate)
		if err != nil {
			panic(err)
		}
		policy, err := terminate.NewPolicy(terminate.Config{Certificates: certMap{spec.Terminate: &cert}})
		if err != nil {
			panic(err)
		}
		cfg.Routes = append(cfg.Routes, route.Route{Name: "ended", Hosts: []string{spec.Terminate}, Action: toPool("pool"), Terminate: policy})
	}
	return cfg
}

func reportOf(s *Server) childReport {
	debug.FreeOSMemory() // two collections: what pools keep goes with the second
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	metrics.Read(sample)
	var use syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &use)
	fds, _ := os.ReadDir("/proc/self/fd")
	return childReport{
		Addr: s.Addrs("public")[0].String(), Limits: s.Limits(), Stats: s.Stats(),
		Memory: sample[0].Value.Uint64() + sample[1].Value.Uint64(), FDs: len(fds), Gos: runtime.NumGoroutine(),
		CPU: time.Duration(use.Utime.Nano() + use.Stime.Nano()),
	}
}

// child is a running childSpec.
type child struct {
	childReport // the first one
	cmd         *exec.Cmd
	in          io.WriteCloser
	out         *json.Decoder
	log         *lockedBuffer
}

// start runs spec in a process of its own until the test ends; in a network namespace of its own if alone.
func start(t testing.TB, spec childSpec, alone bool) *child {
	t.Helper()
	env, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(os.Args[0], "-test.run=^TestChildProcess$"), log: &lockedBuffer{}}
	c.cmd.Env = append(os.Environ(), childEnv+"="+string(env))
	c.cmd.Stderr = c.log
	if alone {
		c.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	}
	c.in, _ = c.cmd.StdinPipe()
	out, _ := c.cmd.StdoutPipe()
	c.out = json.NewDecoder(out)
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		if err := c.cmd.Wait(); err != nil || t.Failed() {
			t.Logf("balancer in its own process: %v\n%s", err, c.log.String())
		}
	})
	c.childReport = c.read(t)
	return c
}

// tell sends a command and returns the report that follows it.
func (c *child) tell(t testing.TB, command string) childReport {
	t.Helper()
	if _, err := io.WriteString(c.in, command+"\n"); err != nil {
		t.Fatalf("the balancer's process: %v\n%s", err, c.log.String())
	}
	return c.read(t)
}

func (c *child) report(t testing.TB) childReport { t.Helper(); return c.tell(t, "report") }

func (c *child) read(t testing.TB) (r childReport) {
	t.Helper()
	if err := c.out.Decode(&r); err != nil {
		t.Fatalf("the balancer's process: %v\n%s", err, c.log.String())
	}
	return r
}

// closed is how many connections have ended with cause.
func (r *childReport) closed(cause Cause) uint64 { return r.Stats.Listeners[0].Closed[cause] }
