package main

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Commands of the scripts that testscript does not have: exit statuses, and a program that runs meanwhile.

// exits CODE program args… runs a program to its end, as exec does, and wants this exit status.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	// Exec keeps both outputs for stdout, stderr and cmp.
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// daemons are the programs of a script that run meanwhile, by name.
type daemons map[string]*process

type daemonsKey struct{}

// process is a running program with the lines it has printed, standard output and standard error together.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed after it has ended and all its output was read

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed and replaced when a line was added
}

// scriptTimeout is how long a script waits for one line or one end. Nothing depends on it but how late a failure is told.
const scriptTimeout = 30 * time.Second

// daemon NAME program args… starts a program. It is killed at the end of the script if it still runs.
func daemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: daemon NAME program [args...]")
	}
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	p := &process{cmd: exec.Command(path, args[2:]...), done: make(chan struct{}), more: make(chan struct{})}
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = append(p.cmd.Environ(), "TMPDIR="+ts.Getenv("TMPDIR"))
	r, w := io.Pipe()
	p.cmd.Stdout, p.cmd.Stderr = w, w
	ts.Check(p.cmd.Start())
	var read sync.WaitGroup
	read.Go(func() { p.collect(r) })
	go func() {
		_ = p.cmd.Wait() // its status is in ProcessState
		w.Close()
		read.Wait()
		close(p.done)
	}()
	ts.Value(daemonsKey{}).(daemons)[args[0]] = p
	ts.Defer(func() {
		_ = p.cmd.Process.Kill() // an error means that it has ended
		<-p.done
	})
}

func (p *process) collect(r io.Reader) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		p.mu.Lock()
		p.lines = append(p.lines, lines.Text())
		close(p.more)
		p.more = make(chan struct{})
		p.mu.Unlock()
	}
}

// expect NAME REGEXP [VARIABLE] waits for a line of the program that matches, and sets the variable to the first group.
func expect(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: expect NAME REGEXP [VARIABLE]")
	}
	re, err := regexp.Compile(args[1])
	ts.Check(err)
	m, err := daemonOf(ts, args[0]).waitFor(re)
	ts.Check(err)
	if len(args) == 3 {
		ts.Setenv(args[2], m[1])
	}
}

func daemonOf(ts *testscript.TestScript, name string) *process {
	p := ts.Value(daemonsKey{}).(daemons)[name]
	if p == nil {
		ts.Fatalf("no daemon %q", name)
	}
	return p
}

// waitFor returns the submatches of the first line that re matches.
func (p *process) waitFor(re *regexp.Regexp) ([]string, error) {
	timeout := time.After(scriptTimeout)
	for seen := 0; ; {
		p.mu.Lock()
		lines, more := p.lines[seen:], p.more
		p.mu.Unlock()
		seen += len(lines)
		for _, line := range lines {
			if m := re.FindStringSubmatch(line); m != nil {
				return m, nil
			}
		}
		if len(lines) > 0 {
			continue
		}
		select {
		case <-more:
		case <-p.done:
			return nil, p.complain("ended without a line that matches " + re.String())
		case <-timeout:
			return nil, p.complain("printed no line that matches " + re.String())
		}
	}
}

func (p *process) complain(what string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Errorf("%s; its output:\n%s", what, strings.Join(p.lines, "\n"))
}

// sendSignal NAME TERM|INT|HUP|KILL sends a signal to the program.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]syscall.Signal{"TERM": syscall.SIGTERM, "INT": syscall.SIGINT, "HUP": syscall.SIGHUP, "KILL": syscall.SIGKILL}
	if neg || len(args) != 2 || signals[args[1]] == 0 {
		ts.Fatalf("usage: sendsig NAME TERM|INT|HUP|KILL")
	}
	ts.Check(daemonOf(ts, args[0]).cmd.Process.Signal(signals[args[1]]))
}

// finishes NAME CODE waits for the end of the program and wants this exit status.
func finishes(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: finishes NAME CODE")
	}
	p := daemonOf(ts, args[0])
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	select {
	case <-p.done:
	case <-time.After(scriptTimeout):
		ts.Fatalf("%v", p.complain("still runs"))
	}
	if got := p.cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("%v", p.complain(fmt.Sprintf("exit status %d, want %d", got, want)))
	}
}

// hold NAME ADDR opens a TLS connection for the name by way of the balancer at ADDR, and holds it until the script ends
// or `letgo`.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: hold NAME ADDR")
	}
	// Who answers is not the question here.
	conn, err := tls.Dial("tcp", args[1], &tls.Config{ServerName: args[0], InsecureSkipVerify: true})
	ts.Check(err)
	held := ts.Value(heldKey{}).(*[]io.Closer)
	*held = append(*held, conn)
	ts.Defer(func() { conn.Close() })
}

type heldKey struct{}

// letgo closes what hold has opened.
func letgo(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: letgo")
	}
	held := ts.Value(heldKey{}).(*[]io.Closer)
	for _, c := range *held {
		ts.Check(c.Close())
	}
	*held = nil
}
