package control

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/balancer/terminate"
	"github.com/seed-23b4a313/switchyard/configs"
	"github.com/seed-23b4a313/switchyard/route"
)

// ChangeOptions are how a change of routes, pools or backends is wanted.
type ChangeOptions struct {
	Origin     string // who asks: "PUT /v1/routes/api"; messages about the text have it in place of a file's name
	OnReload   string // "keep" or "drop": whether the change outlives the next reload of the file. "": "keep"
	IfRevision uint64 // refuse unless this revision runs; 0: whichever does
	DryRun     bool   // change nothing, and say what would change
}

// PutRoute adds the route that text describes, or puts it in the place of the one with that name. The text is an item of
// `routes:` of the file, in YAML or JSON. It takes effect for the next connection, makes a revision, and lies on the file
// from then on. Its cost does not depend on how many routes there are.
//
// The error is a [*RefusedError], [*ConflictError], [*BusyError], [*SaveError], [ErrStopping], [ErrStarting] or that of
// ctx, and nothing has changed then.
func (m *Manager) PutRoute(ctx context.Context, name string, text []byte, opt ChangeOptions) (*Result, error) {
	return m.edit(ctx, opt, func(r configs.Running) (*configs.Change, error) {
		return m.aside(ctx, func() (*configs.Change, error) { return configs.ParseRoute(opt.Origin, name, text, m.dir, r) })
	})
}

// DeleteRoute removes a route: for good if it was made at run time, and otherwise for as long as the overlay says so.
// Besides the errors of [Manager.PutRoute] there is [*NotFoundError].
func (m *Manager) DeleteRoute(ctx context.Context, name string, opt ChangeOptions) (*Result, error) {
	return m.edit(ctx, opt, func(r configs.Running) (*configs.Change, error) {
		if !r.HasRoute(name) {
			return nil, &NotFoundError{Kind: kindRoute, Name: name, Hint: "`switchyard routes` lists those there are"}
		}
		return &configs.Change{
			Edit:    balancer.Edit{DeleteRoutes: []string{name}},
			Entries: []configs.Entry{{Kind: kindRoute, Name: name, Origin: opt.Origin}},
		}, nil
	})
}

// PutPool does for an item of `pools:` what [Manager.PutRoute] does for a route. Backends that stay keep their health,
// counters and connections.
func (m *Manager) PutPool(ctx context.Context, name string, text []byte, opt ChangeOptions) (*Result, error) {
	return m.edit(ctx, opt, func(r configs.Running) (*configs.Change, error) {
		return m.aside(ctx, func() (*configs.Change, error) { return configs.ParsePool(opt.Origin, name, text, m.dir, r) })
	})
}

// DeletePool removes a pool that no route and no listener leads to. For the errors see [Manager.DeleteRoute].
func (m *Manager) DeletePool(ctx context.Context, name string, opt ChangeOptions) (*Result, error) {
	return m.edit(ctx, opt, func(r configs.Running) (*configs.Change, error) {
		if !r.HasPool(name) {
			return nil, &NotFoundError{Kind: kindPool, Name: name, Hint: listHint("there are", r.PoolNames())}
		}
		return &configs.Change{
			Edit:    balancer.Edit{DeletePools: []string{name}},
			Entries: []configs.Entry{{Kind: kindPool, Name: name, Origin: opt.Origin}},
		}, nil
	})
}

// Transact makes several changes at once, or none of them: the text says which, and may say for which revision and
// whether they outlive a reload. What it says counts before opt. For the errors see [Manager.DeleteRoute].
func (m *Manager) Transact(ctx context.Context, text []byte, opt ChangeOptions) (*Result, error) {
	return m.edit(ctx, opt, func(r configs.Running) (*configs.Change, error) {
		return m.aside(ctx, func() (*configs.Change, error) { return configs.ParseTransaction(opt.Origin, text, m.dir, r) })
	})
}

// edit makes the change that parse reads.
func (m *Manager) edit(ctx context.Context, opt ChangeOptions, parse func(configs.Running) (*configs.Change, error)) (*Result, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	asked, err := contained(m.log, func() (*configs.Change, error) { return parse(served{m.balancer, m.boot.listen}) })
	if err != nil {
		return nil, refuse(err, hintOf(err))
	}
	if asked.OnReload != "" {
		opt.OnReload = asked.OnReload
	}
	if asked.IfRevision != 0 {
		if err := m.expect(asked.IfRevision); err != nil {
			return nil, err
		}
	}
	if len(asked.Entries) == 0 {
		return m.setBackends(asked, &opt)
	}
	if err := m.mayEdit(&opt); err != nil {
		return nil, err
	}
	return m.editTable(ctx, asked, &opt)
}

// mayEdit refuses what opt does not allow, and any change of routes and pools while a guard watches.
func (m *Manager) mayEdit(opt *ChangeOptions) error {
	if err := m.expect(opt.IfRevision); err != nil {
		return err
	}
	if m.guard != nil && !opt.DryRun {
		return m.busy()
	}
	return opt.check()
}

// check completes opt.
func (opt *ChangeOptions) check() error {
	switch opt.OnReload {
	case "":
		opt.OnReload = onReloadKeep
	case onReloadKeep, onReloadDrop:
	default:
		return refuse(fmt.Errorf("on_reload is keep or drop, not %q", opt.OnReload), "")
	}
	return nil
}

// editTable changes routes and pools, and backends with them: prepare, test, save, commit.
func (m *Manager) editTable(ctx context.Context, asked *configs.Change, opt *ChangeOptions) (*Result, error) {
	p, err := m.balancer.PrepareEdit(ctx, &asked.Edit)
	if err != nil {
		if passed := passOn(err); passed != nil {
			return nil, passed
		}
		return nil, refuse(configs.RouteErrors(opt.Origin, asked, err), "")
	}
	defer p.Abort() // it does nothing after a commit
	if err := m.running.tests.Run(p.Routes()); err != nil {
		return nil, refuse(err, "the change goes against a test of the file")
	}
	c, err := m.changeOf(asked, opt, p)
	switch {
	case err != nil:
		return nil, err
	case opt.DryRun:
		return c.wouldBe(), nil
	case c.result.Diff.Empty() && c.to.entries.same(m.running.entries) && len(c.set)+len(c.unset) == 0:
		return m.nothing(), nil
	}
	if err := m.commit(c); err != nil {
		return nil, err
	}
	return c.result, nil
}

// changeOf is the change that p is prepared for.
func (m *Manager) changeOf(asked *configs.Change, opt *ChangeOptions, p *balancer.Prepared) (*change, error) {
	how := made{At: m.now(), OnReload: opt.OnReload}
	before := served{balancer: m.balancer}
	to := *m.running
	to.entries = m.running.entries.with(asked.Entries, opt.Origin, how, before.has)
	c := &change{prepared: p, to: &to, origin: opt.Origin}
	var err error
	if c.settings, c.set, err = m.settingsAfter(asked, opt.Origin, how); err != nil {
		return nil, err
	}
	if len(m.settings) > 0 {
		c.settings = fitting(c.settings, poolsAfter(&asked.Edit, m.balancer.Pools()))
	}
	c.unset = missing(m.settings, c.settings)
	c.result = m.resultOf(c, asked.Warnings)
	for i := range c.unset {
		c.result.Dropped = append(c.result.Dropped, c.unset[i].String())
	}
	return c, nil
}

// poolsAfter are the pools as e leaves them, in any order.
func poolsAfter(e *balancer.Edit, have []pool.Config) []pool.Config {
	after := slices.Clone(e.PutPools)
	for i := range have {
		name := have[i].Name
		put := slices.ContainsFunc(e.PutPools, func(p pool.Config) bool { return p.Name == name })
		if !put && !slices.Contains(e.DeletePools, name) {
			after = append(after, have[i])
		}
	}
	return after
}

// served is what runs, as configs asks about it.
type served struct {
	balancer Balancer
	admin    netip.AddrPort // of the admin pages
}

var _ configs.Running = served{}

// Listeners implements [configs.Running].
func (s served) Listeners() []balancer.ListenerConfig { return s.balancer.Listeners() }

// AdminListen implements [configs.Running].
func (s served) AdminListen() netip.AddrPort { return s.admin }

// RouteNames implements [configs.Running].
func (s served) RouteNames() []string {
	var names []string
	for _, r := range s.balancer.Routes().Routes() {
		names = append(names, r.Name)
	}
	return names
}

// HasRoute implements [configs.Running].
func (s served) HasRoute(name string) bool { return s.balancer.Routes().Route(name) != nil }

// HasPool implements [configs.Running].
func (s served) HasPool(name string) bool {
	return slices.ContainsFunc(s.balancer.Pools(), func(p pool.Config) bool { return p.Name == name })
}

// AsksForName implements [configs.Running].
func (s served) AsksForName(name string) bool {
	return slices.ContainsFunc(s.balancer.Pools(), func(p pool.Config) bool {
		t, ok := p.TLS.(*terminate.BackendTLS)
		return ok && p.Name == name && !t.Insecure && t.SNI == ""
	})
}

// NamelessRoutes implements [configs.Running].
func (s served) NamelessRoutes(pool string) []string {
	var names []string
	for _, r := range s.balancer.Routes().Routes() {
		leads := slices.ContainsFunc(r.Action.Targets, func(t route.Target) bool { return t.Pool == pool })
		if leads && r.Terminate != nil && slices.Contains(r.Hosts, route.NoName) {
			names = append(names, r.Name)
		}
	}
	return names
}

// PoolNames implements [configs.Running].
func (s served) PoolNames() []string {
	var names []string
	for _, p := range s.balancer.Pools() {
		names = append(names, p.Name)
	}
	return names
}

// has reports whether there is something of that kind and name.
func (s served) has(kind, name string) bool {
	if kind == kindPool {
		return s.HasPool(name)
	}
	return s.HasRoute(name)
}

// listHint says what there is, a few of them.
func listHint(what string, names []string) string {
	const most = 5
	if len(names) == 0 {
		return ""
	}
	hint := what + " " + strings.Join(names[:min(len(names), most)], ", ")
	if more := len(names) - most; more > 0 {
		hint += fmt.Sprintf(" and %d more", more)
	}
	return hint
}
