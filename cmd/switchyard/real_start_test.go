//go:build linux

package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// minimal is a configuration whose listener is at the address.
func minimal(addr string) string {
	return fmt.Sprintf(`
listeners:
  - name: public
    bind: ["%s"]
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["127.0.0.1:9101"]}
`, addr)
}

func TestRealStartFailsWithStatusAndHint(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, c := range []struct {
		name, config string
		status       int
		want         []string
	}{
		{"another program has the port", minimal(ln.Addr().String()), exitFailed,
			[]string{"switchyard: error: listener \"public\": bind " + ln.Addr().String() + ": address already in use", "switchyard: hint: another process listens there"}},
		{"the machine does not have the address", minimal("192.0.2.1:0"), exitFailed,
			[]string{"bind 192.0.2.1:0: cannot assign requested address", "switchyard: hint: this machine does not have that address"}},
		{"the file has a mistake", strings.Replace(minimal("127.0.0.1:0"), "hosts", "host", 1), exitConfig,
			[]string{`switchyard.yaml:6:17: unknown key "host"`, `hint: did you mean "hosts"?`}},
		{"the file is not YAML", "listeners: [", exitConfig, []string{"switchyard.yaml:1:12: not YAML"}},
		{"the file is empty", "", exitConfig, []string{"switchyard.yaml:1:1: "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := spawn(t, switchyardCommand(t, "run", writeFile(t, "switchyard.yaml", c.config)))
			if got := p.exit(t); got != c.status {
				t.Errorf("exit status: got %d, want %d", got, c.status)
			}
			wantAll(t, strings.Join(p.output(), "\n"), c.want...)
		})
	}
}

// Listening sockets share their port by SO_REUSEPORT, but only with those of the same process: two balancers that
// divide the clients between two configurations are nobody's intention.
func TestRealStartRefusesToShareAPort(t *testing.T) {
	t.Parallel()
	first := runLive(t, "admin: {listen: \"127.0.0.1:0\"}\n"+minimal("127.0.0.1:0"))
	second := spawn(t, switchyardCommand(t, "run", writeFile(t, "switchyard.yaml", minimal(first.addr.String()))))
	if end := second.line(t, `"msg":"started"|^switchyard: hint: `); strings.Contains(end[0], "started") {
		second.signal(t, syscall.SIGTERM) // or it would balance for ever
	}
	if got := second.exit(t); got != exitFailed {
		t.Errorf("exit status: got %d, want %d", got, exitFailed)
	}
	wantAll(t, strings.Join(second.output(), "\n"), "bind "+first.addr.String()+": address already in use",
		"switchyard: hint: another process listens there")
	first.stop(t)
}

func TestRealStartOnAPrivilegedPort(t *testing.T) {
	t.Parallel()
	free, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	if err != nil {
		t.Skipf("from which port on a capability is needed is not known here: %v", err)
	}
	if first, err := strconv.Atoi(strings.TrimSpace(string(free))); err != nil || first <= 443 {
		t.Skipf("port 443 needs no capability on this machine: ip_unprivileged_port_start is %s", free)
	}
	cmd := switchyardCommand(t, "run", writeFile(t, "switchyard.yaml", minimal("127.0.0.1:443")))
	if os.Getuid() == 0 {
		cmd = exec.Command(needProgram(t, "setpriv", "util-linux"), append([]string{"--bounding-set=-net_bind_service", cmd.Path}, cmd.Args[1:]...)...)
	}
	p := spawn(t, cmd)
	if got := p.exit(t); got != exitFailed {
		t.Errorf("exit status: got %d, want %d", got, exitFailed)
	}
	wantAll(t, strings.Join(p.output(), "\n"), `switchyard: error: listener "public": bind 127.0.0.1:443: permission denied`,
		"switchyard: hint: ports below 1024 need CAP_NET_BIND_SERVICE")
}
