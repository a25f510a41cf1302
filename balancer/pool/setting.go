package pool

import (
	"net"
	"slices"
	"strconv"
)

// Setting is what an operator has said of a backend. The zero Setting says nothing.
type Setting struct {
	State  Override
	Weight *int // in place of the file's; nil: the file's. 0: no new connections
}

// IsZero reports whether s says nothing.
func (s Setting) IsZero() bool { return s.State == OverrideNone && s.Weight == nil }

// Set says s of the backend that address names: one address ("10.0.0.7:443"), or an entry as the file writes it
// ("db.example.net:443"), which stands for all of its addresses; what is said of one address counts first. It stays in
// force for whatever has that address later, until the zero Setting takes it back. It returns the members that it
// applies to now. Of pools that share their Backends, the one in force is to be told.
func (p *Pool) Set(address string, s Setting) (matched []*Backend) {
	p.shared.mu.Lock()
	defer p.shared.mu.Unlock()
	if s.IsZero() {
		delete(p.shared.settings, address)
	} else {
		p.shared.settings[address] = s
	}
	for i, entry := range p.entries {
		named := p.cfg.Backends[i].Text() == address
		for _, b := range entry {
			if named || b.Name == address {
				matched = append(matched, b)
			}
		}
	}
	p.publish(p.configs())
	return matched
}

// configs are the members in file order, each with what the file and the operator say of it. The caller holds mu, or
// is the only one to know p.
func (p *Pool) configs() (all []*Backend, cfgs []BackendConfig, states []Override) {
	all = slices.Concat(p.entries...)
	cfgs, states = make([]BackendConfig, 0, len(all)), make([]Override, 0, len(all))
	for i, entry := range p.entries {
		for k, b := range entry {
			set := p.settingOf(&p.cfg.Backends[i], b)
			cfg := p.cfg.Backends[i]
			if cfg.Service != "" {
				m := &p.found[i][k]
				cfg.Weight, cfg.Backup = min(cfg.Weight*m.Weight, maxWeight), cfg.Backup || m.Backup
			}
			if set.Weight != nil {
				cfg.Weight = *set.Weight
			}
			cfgs, states = append(cfgs, cfg), append(states, set.State)
		}
	}
	return all, cfgs, states
}

func (p *Pool) settingOf(entry *BackendConfig, b *Backend) Setting {
	if len(p.shared.settings) == 0 {
		return Setting{}
	}
	if set, ok := p.shared.settings[b.Name]; ok {
		return set
	}
	return p.shared.settings[entry.Text()]
}

// Text is the backend as the file writes it: "10.0.0.7:443", "db.example.net:443" or "srv:_https._tcp.example.net".
func (c *BackendConfig) Text() string {
	if c.Service != "" {
		return c.Named()
	}
	if c.Host != "" {
		return net.JoinHostPort(c.Host, strconv.Itoa(int(c.Addr.Port())))
	}
	return c.Addr.String()
}
