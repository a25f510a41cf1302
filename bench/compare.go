package bench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/proc"
	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// Compare measures Switchyard and its peers, each doing the same work, one row after the other and round after round,
// so that whatever drifts on the machine drifts for all. It fails on what makes a comparison impossible; a peer that
// is missing, or fails, is named in the report. When ctx ends early, the report has what was measured until then, and
// the error is that of ctx; with any other error there is no report.
func Compare(ctx context.Context, cfg CompareConfig) (*Comparison, error) {
	c, err := newComparer(ctx, cfg.withDefaults())
	if err != nil {
		return nil, fmt.Errorf("bench: compare: %w", err)
	}
	defer c.close()
	switch err := c.run(); {
	case ctx.Err() != nil:
		return c.report, fmt.Errorf("bench: compare: %w", ctx.Err())
	case err != nil:
		return nil, fmt.Errorf("bench: compare: %w", err)
	}
	return c.report, nil
}

// comparer carries a comparison through:
//
//	for each case
//	  start every peer with this case's table ──▶ warm each up ──▶ rounds: A B C, B C A, C A B … ──▶ stop all
//	                                                                 │
//	        processor time of the balancer's tree, before and after ─┴─ one generator process
type comparer struct {
	ctx      context.Context
	cfg      CompareConfig
	dir      string            // of configurations and logs
	paths    map[string]string // of programs
	fds      int
	report   *Comparison
	peers    []*peer // those that are there
	backends map[backendKind]*backendProcess
	done     int // rounds, of all that there are to make
	all      int
	began    time.Time
}

// backendProcess is a reference backend in a process of its own.
type backendProcess struct {
	child *child
	addrs []netip.AddrPort
}

// fdsUsed is how many descriptors the balancers are configured for at most: what they reserve grows with it.
const fdsUsed = 20_000

func newComparer(ctx context.Context, cfg CompareConfig) (*comparer, error) {
	for _, key := range cfg.Cases {
		if !slices.Contains(CaseKeys(), key) {
			return nil, fmt.Errorf("unknown case %q: there are %s", key, strings.Join(CaseKeys(), ", "))
		}
	}
	for _, n := range cfg.Names {
		if n < 1 {
			return nil, fmt.Errorf("a table of %d names: want at least one", n)
		}
	}
	if err := needDescriptors("a balancer", 2*max(cfg.Idle, cfg.Workers)+2*reservedFDs); err != nil {
		return nil, err
	}
	fds, err := proc.DescriptorLimit()
	if err != nil {
		return nil, err
	}
	if len(cfg.Self) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		cfg.Self = []string{self, "bench", "child"}
	}
	dir, err := os.MkdirTemp("", "switchyard-bench-")
	if err != nil {
		return nil, err
	}
	c := &comparer{ctx: ctx, cfg: cfg, dir: dir, fds: min(fds, fdsUsed), paths: map[string]string{},
		backends: map[backendKind]*backendProcess{}, began: time.Now()}
	c.report = &Comparison{Config: cfg, Machine: proc.ThisMachine(), When: time.Now()}
	if load := proc.LoadAverage(); load > float64(runtime.NumCPU())/2 {
		c.report.warn("the load average was %.1f at the start: other work shares the machine", load)
	}
	if err := c.findPeers(); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

func (c *comparer) close() {
	for _, b := range c.backends {
		b.child.stop()
	}
	_ = os.RemoveAll(c.dir)
}

// findPeers looks for the programs, and notes those that are missing.
func (c *comparer) findPeers() error {
	if c.cfg.Binaries["switchyard"] == "" {
		c.paths[familyOurs] = c.cfg.Self[0]
	}
	for i := range peers {
		p := &peers[i]
		if !c.wanted(p) {
			continue
		}
		info := PeerInfo{Name: p.name, Note: p.note}
		if err := c.locate(p, &info); err != nil {
			info.Missing = err.Error()
		} else {
			c.peers = append(c.peers, p)
		}
		c.report.Peers = append(c.report.Peers, info)
	}
	if len(c.peers) == 0 {
		return errors.New("no peer is installed: see --against")
	}
	return nil
}

func (c *comparer) wanted(p *peer) bool {
	if len(c.cfg.Only) > 0 {
		return slices.Contains(c.cfg.Only, p.name)
	}
	return len(c.cfg.Against) == 0 || p.family == familyOurs ||
		slices.Contains(c.cfg.Against, p.family) || slices.Contains(c.cfg.Against, p.name)
}

func (c *comparer) locate(p *peer, info *PeerInfo) error {
	if p.program == "" {
		info.Version = runtime.Version()
		return nil
	}
	if c.paths[p.program] == "" {
		path, err := find(p.program, c.cfg.Binaries)
		if err != nil {
			return err
		}
		c.paths[p.program] = path
	}
	info.Version = versionOf(c.paths[p.program], p.version)
	return nil
}

func (c *comparer) run() error {
	list := allScenarios(c.cfg)
	for _, s := range list {
		c.all += c.cfg.Rounds * len(c.measured(s))
	}
	for _, s := range list {
		if err := c.runCase(s); err != nil {
			return fmt.Errorf("%s: %w", s.key, err)
		}
	}
	return nil
}

// measured are the peers that have a row in a case.
func (c *comparer) measured(s *scenario) (list []*peer) {
	for _, p := range c.peers {
		switch {
		case len(p.only) > 0 && !slices.Contains(p.only, s.key):
		case p.variant() && s.names != c.cfg.middle():
		case p.configure == nil && (s.unit == untilReady || s.unit == perIdle):
			// nothing to start, nothing that holds, or (io.Copy, with its pipes) three times the descriptors
		default:
			list = append(list, p)
		}
	}
	return list
}

// contestant is a row that is being measured.
type contestant struct {
	peer    *peer
	running *balancer // nil while a fresh one is started for each round
	row     *Row
}

func (c *comparer) runCase(s *scenario) error {
	w, err := c.workFor(s)
	if err != nil {
		return err
	}
	result := &CaseResult{Key: s.key, Title: s.title, Unit: s.unit, Names: s.names}
	c.report.Cases = append(c.report.Cases, result)
	contestants := c.contestants(s, result)
	defer func() {
		for _, k := range contestants {
			if k.running != nil {
				k.running.stop()
			}
		}
	}()
	for _, k := range contestants {
		if !s.fresh {
			c.prepare(s, k, w)
		}
	}
	defer result.summarize()
	for round := range c.cfg.Rounds {
		for i := range contestants {
			// Another row is first in each round: what the row before leaves behind is not always the same one's burden.
			k := contestants[(i+round)%len(contestants)]
			c.round(s, k, w, round)
			if err := c.ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// workFor is the table of a case, and its backend, started when it is first needed.
func (c *comparer) workFor(s *scenario) (w work, err error) {
	if w.names, err = wire.ParseNames(DefaultNames(s.names)); err != nil {
		return w, err
	}
	b := c.backends[s.backend]
	if b == nil {
		if b, err = c.startBackend(s.backend); err != nil {
			return w, fmt.Errorf("backend: %w", err)
		}
		c.backends[s.backend] = b
	}
	w.backends, w.cores, w.fds, w.tls = b.addrs, runtime.NumCPU(), c.fds, s.backend.tls
	return w, nil
}

func (c *comparer) startBackend(kind backendKind) (*backendProcess, error) {
	listen := make([]netip.AddrPort, c.cfg.Pools)
	for i := range listen {
		listen[i] = anyPort
	}
	started, err := startChild(c.ctx, c.cfg.Self, childOrder{Backend: &BackendConfig{Listen: listen, TLS: kind.tls, Key: kind.key}})
	if err != nil {
		return nil, err
	}
	news, err := started.next()
	if err != nil {
		started.stop()
		return nil, err
	}
	return &backendProcess{child: started, addrs: news.Listening}, nil
}

func (c *comparer) contestants(s *scenario, result *CaseResult) (list []*contestant) {
	for _, p := range c.measured(s) {
		row := &Row{Peer: p.name, Family: p.family}
		result.Rows = append(result.Rows, row)
		list = append(list, &contestant{peer: p, row: row})
	}
	return list
}

// prepare starts a row's balancer, warms it up, and counts its system calls.
func (c *comparer) prepare(s *scenario, k *contestant, w work) {
	b, err := c.start(c.ctx, k.peer, w)
	if err != nil {
		k.row.Error = err.Error()
		return
	}
	k.running = b
	c.noteConfig(b)
	warm := s.load
	if s.load.Duration > 0 {
		warm.Duration = c.cfg.WarmUp
	} else {
		warm.Count, warm.Bytes = 1, min(warm.Bytes, 64<<20)
	}
	if _, err := c.generate(b, s, warm); err != nil {
		k.row.Error = err.Error()
		return
	}
	if s.syscalls && b.pid() != 0 && !c.cfg.NoStrace {
		k.row.Syscalls, err = c.countSyscalls(s, b)
		if err != nil {
			c.report.warn("%s: system calls not counted: %v", k.peer.name, err)
		}
	}
}

// noteConfig keeps a peer's configuration for the report: the one of its first case.
func (c *comparer) noteConfig(b *balancer) {
	for i := range c.report.Peers {
		if p := &c.report.Peers[i]; p.Name == b.peer.name && p.Config == "" {
			p.Config = strings.ReplaceAll(shorten(b.config), c.dir, "DIR")
		}
	}
}

// round measures a row once. A failure ends the row, not the comparison.
func (c *comparer) round(s *scenario, k *contestant, w work, number int) {
	c.done++
	if k.row.Error != "" || c.ctx.Err() != nil {
		return
	}
	b := k.running
	if s.fresh {
		var err error
		if b, err = c.start(c.ctx, k.peer, w); err != nil {
			k.row.Error = err.Error()
			return
		}
		defer b.stop()
		c.noteConfig(b)
	}
	r, err := s.measure(c, s, b)
	if err != nil {
		k.row.Error = err.Error()
		return
	}
	k.row.Rounds = append(k.row.Rounds, r)
	c.cfg.Progress(fmt.Sprintf("[%d/%d, %s left] %s, %d names, round %d: %s: %.4g %s",
		c.done, c.all, c.left(), s.key, s.names, number+1, k.peer.name, r.Value, s.unit))
}

// left is how long the rest will take if it goes on as so far.
func (c *comparer) left() time.Duration {
	perRound := time.Since(c.began) / time.Duration(max(c.done, 1))
	return (perRound * time.Duration(c.all-c.done)).Round(time.Second)
}
