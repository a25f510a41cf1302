package control

import (
	"context"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/configs"
)

// SetBackend says of a backend whether it takes connections, and with which weight: {state: drain, weight: 3}. What the
// text leaves out stays as it is. A backend that is ready, with the weight of the file, is as if nothing had been said.
// It is operation and not configuration: it makes no revision, a rollback does not touch it, and a guard that watches
// does not refuse it. It is kept in the overlay, until the backend leaves the file or opt.OnReload ends it.
//
// The error is a [*NotFoundError] for a pool or backend that is not there; for others see [Manager.PutRoute].
func (m *Manager) SetBackend(ctx context.Context, pool, address string, text []byte, opt ChangeOptions) (*Result, error) {
	return m.edit(ctx, opt, func(r configs.Running) (*configs.Change, error) {
		if !r.HasPool(pool) {
			return nil, &NotFoundError{Kind: kindPool, Name: pool, Hint: listHint("there are", r.PoolNames())}
		}
		return configs.ParseBackend(opt.Origin, pool, address, text, r)
	})
}

// setBackends makes a change of backends alone. The state file is written before the balancer is told.
func (m *Manager) setBackends(asked *configs.Change, opt *ChangeOptions) (*Result, error) {
	if err := m.expect(opt.IfRevision); err != nil {
		return nil, err
	}
	if err := opt.check(); err != nil {
		return nil, err
	}
	settings, set, err := m.settingsAfter(asked, opt.Origin, made{At: m.now(), OnReload: opt.OnReload})
	if err != nil {
		return nil, err
	}
	if len(set) == 0 {
		r := m.nothing()
		r.DryRun = opt.DryRun
		return r, nil
	}
	r := &Result{Revision: m.history.current().Number, Changed: true, DryRun: opt.DryRun, Summary: settingsSummary(set)}
	if opt.DryRun {
		return r, nil
	}
	if err := m.save(m.running, settings, m.history.last); err != nil {
		return nil, err
	}
	m.tell(&change{set: set})
	m.settings = settings
	m.publish()
	m.log.Info("backends set", "origin", opt.Origin, "summary", r.Summary, "on_reload", opt.OnReload)
	return r, nil
}

// settingsAfter are the settings of backends after asked, and those of them that asked makes different.
func (m *Manager) settingsAfter(asked *configs.Change, origin string, how made) (all, set []setting, err error) {
	all = m.settings
	for i := range asked.Backends {
		s, err := m.settingOf(&asked.Backends[i], all, asked)
		if err != nil {
			return nil, nil, err
		}
		at := slices.IndexFunc(all, s.about)
		if at >= 0 && all[at].same(s) || at < 0 && s.isZero() {
			continue
		}
		s.made, s.origin = how, origin
		all, set = setTo(all, *s), append(set, *s)
	}
	return all, set, nil
}

// settingOf lays b on what has been said of its backend already.
func (m *Manager) settingOf(b *configs.BackendChange, all []setting, asked *configs.Change) (*setting, error) {
	s := &setting{}
	s.Pool, s.Address = b.Pool, b.Address
	if err := m.hasBackend(s, asked); err != nil {
		return nil, err
	}
	if at := slices.IndexFunc(all, s.about); at >= 0 {
		s.State, s.Weight = all[at].State, all[at].Weight
	}
	if b.State != "" {
		if state, ok := pool.ParseOverride(b.State); ok {
			s.State = state
		}
	}
	switch {
	case b.ResetWeight:
		s.Weight = nil
	case b.Weight != nil:
		s.Weight = b.Weight
	}
	return s, nil
}

// same reports whether s and o say the same of a backend.
func (s *setting) same(o *setting) bool {
	return s.State == o.State && (s.Weight == nil) == (o.Weight == nil) && (s.Weight == nil || *s.Weight == *o.Weight)
}

// hasBackend refuses a setting of what is not there: no entry of the pool, as asked leaves it, and no address of one.
func (m *Manager) hasBackend(s *setting, asked *configs.Change) error {
	pools := poolsAfter(&asked.Edit, m.balancer.Pools())
	at := slices.IndexFunc(pools, func(p pool.Config) bool { return p.Name == s.Pool })
	if at < 0 {
		return &NotFoundError{Kind: kindPool, Name: s.Pool}
	}
	var have []string
	for i := range pools[at].Backends {
		have = append(have, pools[at].Backends[i].Text())
	}
	if !slices.Contains(have, s.Address) && !slices.Contains(m.members(s.Pool), s.Address) {
		return &NotFoundError{Kind: kindBackend, Name: s.Pool + "/" + s.Address, Hint: listHint("pool "+s.Pool+" has", have)}
	}
	return nil
}

// members are the addresses that a pool sends to now.
func (m *Manager) members(name string) (addresses []string) {
	for _, p := range m.balancer.Stats().Pools {
		if p.Name != name {
			continue
		}
		for i := range p.Backends {
			addresses = append(addresses, p.Backends[i].Address)
		}
	}
	return addresses
}

// settingsSummary says what set does: "backend web/10.0.0.7:443 drain; 2 more backends".
func settingsSummary(set []setting) string {
	const most = 3
	var parts []string
	for i := range set[:min(len(set), most)] {
		parts = append(parts, set[i].String()+" "+set[i].change())
	}
	if more := len(set) - most; more > 0 {
		parts = append(parts, plural(more, "more backend"))
	}
	return strings.Join(parts, "; ")
}
