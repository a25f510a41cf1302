//go:build linux

package main

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The log is for whoever reads it. Where nobody does any more, because the collector at the other end of the pipe has
// died, clients are served all the same, and a stop is still in order.
func TestRealLogReaderThatDiesHarmsNobody(t *testing.T) {
	t.Parallel()
	log, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := switchyardCommand(t, "run", writeFile(t, "switchyard.yaml", oneListener+"routes: []\npools: []\n"))
	cmd.Stderr = w
	y := startLogged(t, cmd, log)
	if err := errors.Join(w.Close(), log.Close()); err != nil {
		t.Fatal(err)
	}
	for range 3 { // each connection is a line
		send(t, y.addr, "GET / HTTP/1.1\r\n\r\n")
	}
	eventually(t, "three connections have ended", func() bool {
		return y.scrape(t)[`switchyard_connections_closed_total{cause="not_tls",listener="public"}`] == 3
	})
	y.stop(t)
}

// A log that has no room to grow loses lines, which are counted; clients are served all the same.
func TestRealLogWithoutRoomHarmsNobody(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "log")
	run := switchyardCommand(t, "run", writeFile(t, "switchyard.yaml", oneListener+"routes: []\npools: []\n"))
	cmd := exec.Command("/bin/sh", append([]string{"-c", `ulimit -f 8 && exec "$0" "$@" 2>>` + name}, run.Args...)...) // blocks of 512 or 1024 bytes
	cmd.Env = run.Environ()
	y := &live{process: startQuiet(t, cmd)}
	read := func() string {
		text, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return string(text)
	}
	eventually(t, "it has started", func() bool { return strings.Contains(read(), `"msg":"started"`) })
	y.lines = strings.Split(read(), "\n")
	y.announced(t)
	const connections = 60
	for range connections {
		send(t, y.addr, "GET / HTTP/1.1\r\n\r\n")
	}
	var s map[string]float64
	eventually(t, "all lines are written or counted", func() bool {
		s = y.scrape(t)
		written := strings.Count(read(), `"msg":"connection"`)
		return s["switchyard_log_lines_dropped_total"] == float64(connections-written) || // the last of them may be cut off behind its msg
			s["switchyard_log_lines_dropped_total"] == float64(connections-written+1)
	})
	if s["switchyard_log_lines_dropped_total"] == 0 || s[`switchyard_connections_closed_total{cause="not_tls",listener="public"}`] != connections {
		t.Errorf("metrics: %v", s)
	}
	y.stop(t)
}

// A demo whose output nobody reads has nothing to stay for, and removes its files.
func TestRealDemoEndsWithItsReader(t *testing.T) {
	t.Parallel()
	out, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := switchyardCommand(t, "demo")
	dir := t.TempDir()
	cmd.Env = append(cmd.Environ(), "TMPDIR="+dir)
	cmd.Stdout = w
	p := startQuiet(t, cmd)
	if err := errors.Join(w.Close(), out.Close()); err != nil {
		t.Fatal(err)
	}
	if got := p.exit(t); got != exitFailed {
		t.Errorf("exit status: got %d, want %d", got, exitFailed)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left in its temporary directory: %v, %v", left, err)
	}
}

// startLogged starts cmd, whose log can be read from log, and reads it until the balancer has started.
func startLogged(t *testing.T, cmd *exec.Cmd, log *os.File) *live {
	t.Helper()
	y := &live{process: startQuiet(t, cmd)}
	if err := log.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(log); lines.Scan() && !strings.Contains(lines.Text(), `"msg":"started"`); {
		y.lines = append(y.lines, lines.Text())
	}
	y.announced(t)
	return y
}

// startQuiet starts cmd with the outputs that it has. Otherwise it is spawn.
func startQuiet(t *testing.T, cmd *exec.Cmd) *process {
	t.Helper()
	p := &process{cmd: cmd, done: make(chan struct{}), more: make(chan struct{})}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // its status is in ProcessState
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // an error means that it has ended
		<-p.done
	})
	return p
}
