package balancer

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// R18: when a cable is pulled, both sockets of a connection are gone within 65s, whether it was idle or busy:
// keepalive finds the one, TCP_USER_TIMEOUT the other.
//
//	 network namespace of the test              of the balancer
//	┌────────────────────────────┐          ┌──────────────────────┐
//	│ clients   10.77.1.1 (wc) ──┼── veth ──┼─ (bc) 10.77.1.2:port │
//	│ backends  10.77.2.1 (wb) ──┼── veth ──┼─ (bb) 10.77.2.2      │
//	└────────────────────────────┘          └──────────────────────┘
//
// A cable is pulled by setting wc or wb down: nothing arrives any more, and nobody is told.
func TestCablePulled(t *testing.T) {
	t.Parallel()
	switch {
	case !full():
		t.Skip("takes over a minute: run make promises")
	case os.Getuid() != 0:
		t.Skip("makes network namespaces: needs root")
	}
	for _, cable := range []string{"wc", "wb"} {
		for _, busy := range []bool{false, true} {
			t.Run(map[string]string{"wc": "to the client", "wb": "to the backend"}[cable]+map[bool]string{true: ", busy", false: ", idle"}[busy],
				func(t *testing.T) {
					t.Parallel()
					pullCable(t, cable, busy)
				})
		}
	}
}

func pullCable(t *testing.T, cable string, busy bool) {
	runtime.LockOSThread() // and never unlocked: the thread, which is in another namespace, ends with the test
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Fatalf("unshare: %v", err)
	}
	ip(t, "link add wc type veth peer name bc", "link add wb type veth peer name bb",
		"addr add 10.77.1.1/24 dev wc", "addr add 10.77.2.1/24 dev wb", "link set lo up", "link set wc up", "link set wb up")
	l, err := net.Listen("tcp4", "10.77.2.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, l, obey)
	b := start(t, childSpec{Bind: []string{"0.0.0.0:0"}, Backends: []string{l.Addr().String()}, LogLines: true}, true)
	pid := fmt.Sprint(b.cmd.Process.Pid)
	ip(t, "link set bc netns "+pid, "link set bb netns "+pid)
	for _, args := range []string{"link set lo up", "addr add 10.77.1.2/24 dev bc", "addr add 10.77.2.2/24 dev bb", "link set bc up", "link set bb up"} {
		run(t, "nsenter", append([]string{"-t", pid, "-n", "ip"}, strings.Fields(args)...)...)
	}
	_, port, _ := net.SplitHostPort(b.Addr)
	c, err := net.DialTimeout("tcp4", "10.77.1.2:"+port, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := b.report(t)
	mustWrite(t, c, helloA)
	mustRead(t, c, helloA)
	order := byte('i')
	if busy && cable == "wc" {
		order = 's'
		go io.Copy(io.Discard, c)
	}
	mustWrite(t, c, []byte{order})
	if busy && cable == "wb" {
		go func() {
			for b := make([]byte, 1000); ; {
				if _, err := c.Write(b); err != nil {
					return
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
	}
	time.Sleep(time.Second) // what there is to be on the wire is
	pulled := time.Now()
	ip(t, "link set "+cable+" down")
	var r childReport
	for end := pulled.Add(90 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if r = b.report(t); r.Stats.Connections == 0 {
			break
		}
	}
	took := time.Since(pulled)
	if r.Stats.Connections != 0 || took > 65*time.Second {
		t.Errorf("the connection was there for %v after the cable was pulled, want at most 65s", took)
	}
	lost := map[string]Cause{"wc": CauseClientLost, "wb": CauseBackendLost}[cable]
	if r.closed(lost) != 1 {
		t.Errorf("the connection ended otherwise than with %v:\n%s", lost, b.log.String())
	}
	if r.FDs >= before.FDs {
		t.Errorf("%d descriptors, %d with the client alone: a socket is left", r.FDs, before.FDs)
	}
	t.Logf("gone after %v", took.Round(100*time.Millisecond))
}

// obey echoes a hello, then does as the next byte says: s streams until that fails, others take what comes.
func obey(c *net.TCPConn) {
	hello, _ := readHelloRecord(c)
	c.Write(hello)
	order := make([]byte, 1)
	io.ReadFull(c, order)
	if order[0] != 's' {
		io.Copy(io.Discard, c)
		return
	}
	for b := make([]byte, 1000); ; time.Sleep(10 * time.Millisecond) {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// ip runs ip(8) in the namespace of this thread, once for each list of arguments.
func ip(t *testing.T, lists ...string) {
	t.Helper()
	for _, args := range lists {
		run(t, "ip", strings.Fields(args)...)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
}
