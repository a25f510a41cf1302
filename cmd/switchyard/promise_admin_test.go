//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/seed-23b4a313/switchyard/admin"
)

// R26: another user gets no answer, even where the mode of the socket would let it in.
func TestAnotherUserGetsNoAnswer(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to be another user")
	}
	t.Parallel()
	one := wordServer(t, "one")
	s := steer(t, twoPools(one, one, "one"))
	info, err := os.Stat(s.socket)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the socket's mode is %v, %v; want 0600", info.Mode().Perm(), err)
	}
	if err := os.Chmod(s.socket, 0o666); err != nil {
		t.Fatal(err)
	}
	socket, program := openToAll(t, s.socket)
	for _, args := range [][]string{{"status"}, {"reload"}, {"drain", one}, {"rollback"}} {
		cmd := exec.Command(program, append(args, "--socket", socket)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "hung up") {
			t.Errorf("%q as another user: %v\n%s", args, err, out)
		}
	}
	if m := s.scrape(t); m["switchyard_config_revision"] != 1 {
		t.Error("another user has changed something")
	}
}

// openToAll gives the socket and the program names in a directory that everybody may enter: those of tests are closed.
func openToAll(t *testing.T, socket string) (link, program string) {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "switchyard-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	link, program = dir+"/admin.sock", dir+"/switchyard"
	if err := os.Link(socket, link); err != nil {
		t.Skipf("the socket cannot be linked to from /tmp: %v", err)
	}
	text, err := os.ReadFile(switchyardCommand(t).Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, text, 0o755); err != nil {
		t.Fatal(err)
	}
	return link, program
}

// R26: clients of the API that send and read slowly, or not at all, hold nothing up: neither traffic nor other clients.
func TestSlowAdminClientsHoldNothingUp(t *testing.T) {
	one, two := wordServer(t, "one"), wordServer(t, "two")
	s := steer(t, manyRoutes(one, two, sized(2000, 20_000), "one"))
	f := &traffic{addr: s.addr.String(), hello: greeting(t, "www.example.com")}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { f.run(ctx, 500) })
	alone := f.settle(t, sized(200, 5000))
	for _, request := range []string{
		"", "GET /v1/st", "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12",
		"GET /v1/config HTTP/1.1\r\nHost: x\r\n\r\n", "GET /v1/routes?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /v1/routes/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"hos",
	} {
		for range 8 {
			c, err := net.Dial("unix", s.socket)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			if _, err := io.WriteString(c, request); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range sized(10, 100) {
		s.write(t, manyRoutes(one, two, sized(2000, 20_000), []string{"two", "one"}[i%2]))
		if res := s.reload(t); !res.Changed {
			t.Fatalf("reload %d changed nothing", i)
		}
	}
	f.settle(t, alone+sized(200, 5000))
	cancel()
	running.Wait()
	f.check(t)
	t.Logf("99 %% of %d connections within %v, then with slow clients within %v", f.count(), f.quantile(0.99, 0, alone), f.quantile(0.99, alone, -1))
}

// Two clients change the same route at the same time: each change is whole, and whoever said which revision it had seen
// is told that another one was faster.
func TestTwoAdminClientsRace(t *testing.T) {
	t.Parallel()
	one, two := wordServer(t, "one"), wordServer(t, "two")
	s := steer(t, twoPools(one, two, "one"))
	f := &traffic{addr: s.addr.String(), hello: greeting(t, "www.example.com")}
	put := func(pool string, revision uint64) *admin.APIError {
		client := admin.NewClient(s.socket)
		defer client.Close()
		other := &steered{live: s.live, api: client}
		_, refused := other.do(t, "PUT", admin.Path("routes", "moving"), url.Values{"if_revision": {fmt.Sprint(revision)}},
			fmt.Sprintf(`{"hosts": ["www.example.com", "race-%d.example.com"], "pool": %q}`, revision, pool))
		return refused
	}
	revision := uint64(1)
	for i := range 20 {
		var wg sync.WaitGroup
		answers := make([]*admin.APIError, 2)
		for j, pool := range []string{"one", "two"} {
			wg.Go(func() { answers[j] = put(pool, revision) })
		}
		wg.Wait()
		took := 0
		if answers[0] != nil {
			took = 1
		}
		refused := answers[1-took]
		if answers[took] != nil || refused == nil || refused.Status != 409 || refused.Revision <= revision {
			t.Fatalf("race %d: %v and %v; want one taken and one 409 with the new revision", i, answers[0], answers[1])
		}
		if got, err := f.exchange(); err != nil || got != []string{"one", "two"}[took] {
			t.Fatalf("race %d: %q, %v, and pool %d was taken", i, got, err, took)
		}
		revision = refused.Revision
	}
}

// What was changed at run time is there again after kill -9, and a bad state file keeps nobody from starting.
func TestStateFileSurvivesKill(t *testing.T) {
	t.Parallel()
	one, two := wordServer(t, "one"), wordServer(t, "two")
	text := strings.Replace(twoPools(one, two, "one"), `listen:`, `state_file: state.json, listen:`, 1)
	s := steer(t, text)
	if _, refused := s.do(t, "PUT", admin.Path("routes", "moving"), nil, `{"hosts": ["www.example.com"], "pool": "two"}`); refused != nil {
		t.Fatal(refused)
	}
	if _, refused := s.do(t, "PUT", admin.Path("pools", "one", "backends", one), nil, `{"state": "drain"}`); refused != nil {
		t.Fatal(refused)
	}
	again := func() *traffic {
		s.signal(t, syscall.SIGKILL)
		s.exit(t)
		s.live = &live{process: spawn(t, switchyardCommand(t, "run", s.file))}
		s.announced(t)
		s.line(t, `"msg":"started"`)
		return &traffic{addr: s.addr.String(), hello: greeting(t, "www.example.com")}
	}
	if got, err := again().exchange(); err != nil || got != "two" {
		t.Errorf("after kill -9 the route goes to %q, %v", got, err)
	}
	drained := &traffic{addr: s.addr.String(), hello: greeting(t, "stay.example.com")}
	if got, err := drained.exchange(); err == nil && got == "one" {
		t.Error("after kill -9 the drained backend takes connections")
	}
	if err := os.WriteFile(s.dir+"/state.json", []byte(`{"version": 1, "overlay": [`), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := again().exchange(); err != nil || got != "one" {
		t.Errorf("with an unreadable state file the route goes to %q, %v", got, err)
	}
	s.line(t, `"level":"ERROR".*state`)
	if _, err := os.Stat(s.dir + "/state.json.unreadable"); err != nil {
		t.Errorf("the unreadable state file is not kept: %v", err)
	}
}
