package balancer

import (
	"cmp"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/seed-23b4a313/switchyard/balancer/pool"
	"github.com/seed-23b4a313/switchyard/route"
)

// Diff is what a change makes different, by name and in file order. It is not changed after it was made.
type Diff struct {
	Routes    RouteDiff      `json:"routes"`
	Pools     []PoolDiff     `json:"pools"`
	Listeners []ListenerDiff `json:"listeners"`
	Options   []string       `json:"options"` // keys of the whole process: "drain.max"
	Notes     []string       `json:"notes"`   // what the change cannot bring about at once, in words
}

// RouteDiff names routes.
type RouteDiff struct {
	Added     []string `json:"added"`
	Removed   []string `json:"removed"`
	Changed   []string `json:"changed"`
	Reordered bool     `json:"reordered"` // those that stay come in another order
}

// PoolDiff is what is different about one pool.
type PoolDiff struct {
	Pool            string   `json:"pool"`
	Change          string   `json:"change"` // "added", "removed" or "changed"
	BackendsAdded   []string `json:"backends_added"`
	BackendsRemoved []string `json:"backends_removed"`
	BackendsChanged []string `json:"backends_changed"`
	Options         []string `json:"options"` // keys of the pool
}

// ListenerDiff is what is different about one listener.
type ListenerDiff struct {
	Listener    string   `json:"listener"`
	Change      string   `json:"change"` // "added", "removed" or "changed"
	BindAdded   []string `json:"bind_added"`
	BindRemoved []string `json:"bind_removed"`
	Options     []string `json:"options"` // keys of the listener
}

// The words of Change.
const (
	diffAdded   = "added"
	diffRemoved = "removed"
	diffChanged = "changed"
)

// Empty reports whether nothing is different.
func (d *Diff) Empty() bool {
	r := &d.Routes
	return len(r.Added)+len(r.Removed)+len(r.Changed)+len(d.Pools)+len(d.Listeners)+len(d.Options) == 0 && !r.Reordered
}

// String sums d up in a line: "3 routes added, 1 changed; pool web: +1 -1 backends".
func (d *Diff) String() string {
	var parts []string
	if s := d.Routes.String(); s != "" {
		parts = append(parts, s)
	}
	const most = 5 // a line is for people; the lists have everything
	for i := range d.Pools[:min(len(d.Pools), most)] {
		parts = append(parts, d.Pools[i].String())
	}
	if more := len(d.Pools) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more pools", more))
	}
	for i := range d.Listeners[:min(len(d.Listeners), most)] {
		parts = append(parts, d.Listeners[i].String())
	}
	if more := len(d.Listeners) - most; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more listeners", more))
	}
	if len(d.Options) > 0 {
		parts = append(parts, strings.Join(d.Options, ", ")+" changed")
	}
	if len(parts) == 0 {
		return "nothing changed"
	}
	return strings.Join(parts, "; ")
}

// String says how many: "3 routes added, 1 changed"; "" if none.
func (r *RouteDiff) String() string {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{len(r.Added), diffAdded}, {len(r.Removed), diffRemoved}, {len(r.Changed), diffChanged}} {
		switch {
		case p.n == 0:
		case len(parts) > 0:
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		case p.n == 1:
			parts = append(parts, "1 route "+p.what)
		default:
			parts = append(parts, fmt.Sprintf("%d routes %s", p.n, p.what))
		}
	}
	if r.Reordered {
		parts = append(parts, "routes reordered")
	}
	return strings.Join(parts, ", ")
}

// String says what is different about the pool.
func (p *PoolDiff) String() string {
	if p.Change != diffChanged {
		return fmt.Sprintf("pool %s %s", p.Pool, p.Change)
	}
	var parts []string
	switch added, removed := len(p.BackendsAdded), len(p.BackendsRemoved); {
	case added > 0 && removed > 0:
		parts = append(parts, fmt.Sprintf("+%d -%d backends", added, removed))
	case added > 0:
		parts = append(parts, fmt.Sprintf("+%d backends", added))
	case removed > 0:
		parts = append(parts, fmt.Sprintf("-%d backends", removed))
	}
	if n := len(p.BackendsChanged); n > 0 {
		parts = append(parts, fmt.Sprintf("%d backends changed", n))
	}
	parts = append(parts, p.Options...)
	return fmt.Sprintf("pool %s: %s", p.Pool, strings.Join(parts, ", "))
}

// String says what is different about the listener.
func (l *ListenerDiff) String() string {
	if l.Change != diffChanged {
		return fmt.Sprintf("listener %s %s", l.Listener, l.Change)
	}
	var parts []string
	for _, a := range l.BindAdded {
		parts = append(parts, "+"+a)
	}
	for _, a := range l.BindRemoved {
		parts = append(parts, "-"+a)
	}
	parts = append(parts, l.Options...)
	return fmt.Sprintf("listener %s: %s", l.Listener, strings.Join(parts, ", "))
}

// routeDiff takes over what the table says.
func routeDiff(c route.Changes) RouteDiff {
	return RouteDiff{Added: list(c.Added), Removed: list(c.Removed), Changed: list(c.Changed), Reordered: c.Reordered}
}

// list makes nil an empty list, which JSON shows as one.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// byName are the members of a list by their name, in a diff of old and new.
type byName[T any] struct {
	name func(*T) string
	diff func(old, new *T, change string) // old or new is nil for what was added or removed
}

// compare calls diff for what is only in one of the lists and for what is in both: first those of new, in its order.
func (c byName[T]) compare(old, new []T) {
	had := make(map[string]*T, len(old))
	for i := range old {
		had[c.name(&old[i])] = &old[i]
	}
	for i := range new {
		n := &new[i]
		if o := had[c.name(n)]; o == nil {
			c.diff(nil, n, diffAdded)
		} else {
			c.diff(o, n, diffChanged)
		}
		delete(had, c.name(n))
	}
	for i := range old {
		if o := &old[i]; had[c.name(o)] == o {
			c.diff(o, nil, diffRemoved)
		}
	}
}

// poolDiffs compares the pools.
func poolDiffs(old, new []pool.Config) []PoolDiff {
	diffs := []PoolDiff{}
	byName[pool.Config]{
		name: func(p *pool.Config) string { return p.Name },
		diff: func(o, n *pool.Config, change string) {
			d := PoolDiff{Pool: cmp.Or(n, o).Name, Change: change, BackendsAdded: []string{}, BackendsRemoved: []string{},
				BackendsChanged: []string{}, Options: []string{}}
			if o != nil && n != nil {
				if o.Equal(n) {
					return
				}
				d.compare(o, n)
			}
			diffs = append(diffs, d)
		},
	}.compare(old, new)
	return diffs
}

// compare fills in what is different between two pools of a name.
func (d *PoolDiff) compare(o, n *pool.Config) {
	byName[pool.BackendConfig]{
		name: func(b *pool.BackendConfig) string { return b.Text() },
		diff: func(before, after *pool.BackendConfig, change string) {
			text := cmp.Or(after, before).Text()
			switch {
			case change == diffAdded:
				d.BackendsAdded = append(d.BackendsAdded, text)
			case change == diffRemoved:
				d.BackendsRemoved = append(d.BackendsRemoved, text)
			case *before != *after:
				d.BackendsChanged = append(d.BackendsChanged, text)
			}
		},
	}.compare(o.Backends, n.Backends)
	d.Options = optionDiff(*o, *n, "Name", "Backends", "Health")
	if !o.Health.Equal(n.Health) {
		d.Options = append(d.Options, "health")
	}
	if len(d.Options)+len(d.BackendsAdded)+len(d.BackendsRemoved)+len(d.BackendsChanged) == 0 {
		d.Options = append(d.Options, "order of backends")
	}
}

// listenerDiffs compares the listeners.
func listenerDiffs(old, new []ListenerConfig) []ListenerDiff {
	diffs := []ListenerDiff{}
	byName[ListenerConfig]{
		name: func(l *ListenerConfig) string { return l.Name },
		diff: func(o, n *ListenerConfig, change string) {
			d := ListenerDiff{Listener: cmp.Or(n, o).Name, Change: change, BindAdded: []string{}, BindRemoved: []string{}, Options: []string{}}
			if o != nil && n != nil {
				d.BindAdded, d.BindRemoved = addressDiff(o.Bind, n.Bind), addressDiff(n.Bind, o.Bind)
				d.Options = optionDiff(*o, *n, "Name", "Bind")
				if len(d.BindAdded)+len(d.BindRemoved)+len(d.Options) == 0 {
					return
				}
			}
			diffs = append(diffs, d)
		},
	}.compare(old, new)
	return diffs
}

// addressDiff are the addresses in b that a does not have.
func addressDiff(a, b []netip.AddrPort) []string {
	missing := []string{}
	for _, addr := range b {
		if !slices.Contains(a, addr) {
			missing = append(missing, bindText(addr))
		}
	}
	return missing
}

// processDiff names the options of the whole process that differ.
func processDiff(old, new *world) []string {
	options := []string{}
	for _, o := range []struct {
		key  string
		same bool
	}{
		{"max_connections", old.maxConnections == new.maxConnections},
		{"drain.announce", old.drain.Announce == new.drain.Announce},
		{"drain.max", old.drain.Max == new.drain.Max},
		{"handshakes", old.sources.limit().Equal(new.sources.limit()) && old.handshakeEvery == new.handshakeEvery},
	} {
		if !o.same {
			options = append(options, o.key)
		}
	}
	return options
}

// keysOfFields are the keys of the file for fields that are named otherwise.
var keysOfFields = map[string]string{
	"Header": "proxy_protocol", "ProxyFrom": "proxy_protocol.from", "ProxyOptional": "proxy_protocol.optional",
	"NoSNI": "no_sni", "UnknownSNI": "unknown_sni", "NotTLS": "not_tls", "TLS": "tls",
}

// optionDiff names the keys of the fields in which two structs of one type differ.
func optionDiff[T any](old, new T, except ...string) []string {
	keys := []string{}
	o, n := reflect.ValueOf(old), reflect.ValueOf(new)
	for i := range o.NumField() {
		name := o.Type().Field(i).Name
		if slices.Contains(except, name) || sameField(o.Field(i).Interface(), n.Field(i).Interface()) {
			continue
		}
		keys = append(keys, cmp.Or(keysOfFields[name], snakeCase(name)))
	}
	return keys
}

// sameField reports whether two values mean the same: as the first one says, if it can tell.
func sameField(a, b any) bool {
	if x, ok := a.(pool.Sameness); ok {
		return x.Equal(b)
	}
	return reflect.DeepEqual(a, b)
}

// snakeCase is the key of a field: "ConnectTimeout" is connect_timeout.
func snakeCase(field string) string {
	var b strings.Builder
	for i, r := range field {
		if unicode.IsUpper(r) && i > 0 {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
