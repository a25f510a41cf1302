package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// peer is one row of a comparison: a program, and how it is told to do the work.
type peer struct {
	name   string
	family string // peers that are the same program
	note   string // what its configuration does that another would not, for the report
	// only, where it is set, has the cases that the row is measured in.
	only []string
	// program is what is looked for in PATH; empty: a child of this process, or none at all.
	program string
	// configure writes the configuration into the directory and says how to start the program with it.
	configure func(dir string, w work) (argv []string, config string, err error)
	version   []string // arguments that make the program print its version
}

// work is what every peer is configured to do: listen, and send each name to its pool's backend.
type work struct {
	names    wire.Names
	listen   netip.AddrPort
	backends []netip.AddrPort // one per pool; name i belongs to pool i modulo their number
	cores    int
	fds      int  // descriptors that the process may have
	tls      bool // the backends complete handshakes
}

// The families.
const (
	familyOurs    = "switchyard"
	familyHAProxy = "haproxy"
	familyNginx   = "nginx"
	familyCopy    = "gocopy"
	familyDirect  = "direct"
)

// peers are all rows, in the order of the report. Variants follow their plain row.
var peers = []peer{
	{name: "direct", family: familyDirect, note: "no balancer: what the generator and the backend can do"},
	{name: "gocopy", family: familyCopy, note: "two goroutines and io.Copy per connection; reads no hello, routes to one pool"},
	{name: "haproxy", family: familyHAProxy, program: "haproxy", version: []string{"-v"},
		note: "option splice-auto, one thread per core", configure: configureHAProxy("option splice-auto")},
	{name: "haproxy-splice", family: familyHAProxy, program: "haproxy", version: []string{"-v"}, only: bulkCases,
		note:      "tuned for bulk: splices always",
		configure: configureHAProxy("option splice-request\n    option splice-response")},
	{name: "nginx", family: familyNginx, program: "nginx", version: []string{"-v"},
		note: "stream with ssl_preread, reuseport, one worker per core", configure: configureNginx("proxy_buffer_size 16k")},
	{name: "nginx-128k", family: familyNginx, program: "nginx", version: []string{"-v"}, only: bulkCases,
		note: "tuned for bulk: proxy_buffer_size 128k", configure: configureNginx("proxy_buffer_size 128k")},
	{name: "nginx-half-close", family: familyNginx, program: "nginx", version: []string{"-v"}, only: connectionCases,
		note: "proxy_half_close on: waits for the client's end too, as HAProxy and Switchyard do", configure: configureNginx("proxy_half_close on")},
	{name: "switchyard", family: familyOurs, program: "switchyard", version: []string{"version"},
		note: "log.connections: false", configure: configureSwitchyard(false)},
	{name: "switchyard-log", family: familyOurs, program: "switchyard", version: []string{"version"},
		only: connectionCases,
		note: "log.connections: true, to a file", configure: configureSwitchyard(true)},
}

// variant reports whether the row is measured at one size of the table only: it is not a program's plain row, or reads
// no names.
func (p *peer) variant() bool { return p.name != p.family || p.family == familyCopy }

// errNotInstalled says that a program is not there; the report then names it as missing.
var errNotInstalled = errors.New("not installed")

// find is where the program of a peer is: as given in binaries, in PATH, or where Debian puts it.
func find(program string, binaries map[string]string) (string, error) {
	if path := binaries[program]; path != "" {
		return exec.LookPath(path)
	}
	for _, candidate := range []string{program, filepath.Join("/usr/sbin", program)} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s: %w", program, errNotInstalled)
}

// versionOf is the first line that the program prints about itself.
func versionOf(path string, args []string) string {
	out, _ := exec.Command(path, args...).CombinedOutput()
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line
}

// balancer is a peer that runs.
type balancer struct {
	peer    *peer
	config  string
	targets []netip.AddrPort
	pools   int           // to expect in the answers; 0 where the peer does not route
	ready   time.Duration // from exec to the first answer

	cmd    *exec.Cmd // of a program
	exited chan error
	child  *child // of a forwarder
	dir    string
}

// start runs a peer and waits until it answers a hello for the last name of its table.
func (c *comparer) start(ctx context.Context, p *peer, w work) (*balancer, error) {
	switch p.family {
	case familyDirect:
		return &balancer{peer: p, targets: w.backends, pools: len(w.backends)}, nil
	case familyCopy:
		return c.startForwarder(ctx, p, w)
	}
	dir, err := os.MkdirTemp(c.dir, p.name+"-")
	if err != nil {
		return nil, err
	}
	if w.listen, err = freePort(); err != nil {
		return nil, err
	}
	argv, config, err := p.configure(dir, w)
	if err != nil {
		return nil, err
	}
	b := &balancer{peer: p, config: config, dir: dir, pools: len(w.backends), targets: []netip.AddrPort{w.listen}}
	if err := b.exec(ctx, c.paths[p.program], argv, w); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return b, nil
}

func (b *balancer) exec(ctx context.Context, path string, argv []string, w work) error {
	b.cmd = exec.CommandContext(ctx, path, argv...)
	b.cmd.Env = append(os.Environ(), "SWITCHYARD_DUMPABLE=1") // its memory and descriptors are measured from outside
	b.cmd.Dir = b.dir
	log, err := os.Create(filepath.Join(b.dir, "output.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	b.cmd.Stdout, b.cmd.Stderr = log, log
	b.cmd.SysProcAttr = ownGroup()
	b.cmd.Cancel = func() error { return killGroup(b.cmd.Process.Pid) }
	began := time.Now()
	if err := b.cmd.Start(); err != nil {
		return err
	}
	b.exited = make(chan error, 1)
	go func() { b.exited <- b.cmd.Wait() }()
	if err := b.awaitAnswer(ctx, w); err != nil {
		text, _ := os.ReadFile(log.Name())
		b.stop()
		return fmt.Errorf("%w: %s", err, tail(text))
	}
	b.ready = time.Since(began)
	return nil
}

// startupLimit is how long a peer may take to its first answer.
const startupLimit = 30 * time.Second

func (b *balancer) awaitAnswer(ctx context.Context, w work) error {
	ctx, cancel := context.WithTimeout(ctx, startupLimit)
	defer cancel()
	for {
		err := probe(ctx, b.targets[0], w)
		if err == nil {
			return nil
		}
		select {
		case exit := <-b.exited:
			b.exited <- exit
			return fmt.Errorf("ended before it answered: %v", exit)
		case <-ctx.Done():
			return fmt.Errorf("no answer: %w", err)
		case <-time.After(time.Millisecond / 2):
		}
	}
}

func (c *comparer) startForwarder(ctx context.Context, p *peer, w work) (*balancer, error) {
	order := childOrder{Forward: &ForwardConfig{Listen: anyPort, Backend: w.backends[0]}}
	began := time.Now()
	forwarder, err := startChild(ctx, c.cfg.Self, order)
	if err != nil {
		return nil, err
	}
	news, err := forwarder.next()
	if err != nil {
		forwarder.stop()
		return nil, err
	}
	return &balancer{peer: p, targets: news.Listening, child: forwarder, ready: time.Since(began)}, nil
}

// pid is the balancer's first process; 0 where there is none.
func (b *balancer) pid() int {
	switch {
	case b.child != nil:
		return b.child.cmd.Process.Pid
	case b.cmd != nil:
		return b.cmd.Process.Pid
	}
	return 0
}

// stopLimit is what a program gets to end in order; nothing that it still holds is worth more.
const stopLimit = 2 * time.Second

// stop ends the balancer and all its processes.
func (b *balancer) stop() {
	if b.child != nil {
		b.child.stop()
	}
	if b.cmd == nil {
		return
	}
	_ = terminate(b.cmd.Process.Pid)
	select {
	case <-b.exited:
	case <-time.After(stopLimit):
		_ = killGroup(b.cmd.Process.Pid)
		<-b.exited
	}
	b.cmd = nil
	_ = os.RemoveAll(b.dir)
}

var anyPort = netip.MustParseAddrPort("127.0.0.1:0")

// balancerPort is where balancers listen: an address that no connection comes from, so that none has its port when a
// balancer wants it. Backends are called from 127.0.0.1, balancers from 127.0.0.2 on.
var balancerPort = netip.MustParseAddrPort("127.0.1.1:0")

// freePort is a port that nobody listens on now. Its taker must be quick.
func freePort() (netip.AddrPort, error) {
	l, err := net.Listen("tcp", balancerPort.String())
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).AddrPort(), nil
}

// tail is the end of a program's output, for an error message.
func tail(b []byte) string {
	const most = 1000
	b = bytes.TrimSpace(b)
	return string(b[max(0, len(b)-most):])
}
