package file

import "go.yaml.in/yaml/v4"

// Transaction is several changes of what runs, which happen together or not at all.
type Transaction struct {
	Mapping
	// The revision that the changes are meant for; another one refuses them. Absent: whichever it is.
	IfRevision Count `yaml:"if_revision" min:"1" max:"1000000000000000" good:"12"`
	// Whether a reload of the file keeps the changes or drops them.
	OnReload Choice[string, OnReloads] `yaml:"on_reload" good:"drop"`
	// What changes.
	Changes []Change `yaml:"changes" required:"true" min:"1" max:"10000" good:"[{delete_route: www}]"`
}

// Change is one change of a transaction: exactly one of its keys.
type Change struct {
	Mapping
	// A route to add, or to put in place of the one with its name.
	PutRoute *Route `yaml:"put_route" good:"{name: www, hosts: [www.example.com], pool: web}"`
	// The name of a route to delete.
	DeleteRoute Name `yaml:"delete_route" good:"www"`
	// A pool to add, or to put in place of the one with its name.
	PutPool *Pool `yaml:"put_pool" good:"{name: web, backends: [192.0.2.7:443]}"`
	// The name of a pool to delete.
	DeletePool Name `yaml:"delete_pool" good:"web"`
	// What to say of a backend.
	Backend *BackendState `yaml:"backend" good:"{pool: web, address: 192.0.2.7:443, state: drain}"`

	// Text is the mapping of put_route or put_pool, written out as a text of its own; "" if there is none.
	Text string
}

// BackendState is what an operator says of one backend.
type BackendState struct {
	Mapping
	// The pool of the backend.
	Pool Name `yaml:"pool" required:"true" good:"web"`
	// The backend, as the pool has it.
	Address Target `yaml:"address" required:"true" good:"192.0.2.7:443"`
	// Whether it takes connections, keeps those it has, or is not used at all.
	State Choice[string, BackendStates] `yaml:"state" good:"drain"`
	// Its share instead of that of the pool's `weight`; null puts that one back in force.
	Weight Weight `yaml:"weight" min:"0" max:"65535" good:"3"`
}

// Weight is a whole number, or null.
type Weight struct {
	Count
	Null bool
}

func (t *Weight) decode(d *decoder, n *yaml.Node, k *key) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		t.At, t.Null = d.place(n), true
		return
	}
	t.Count.decode(d, n, k)
}

func (*Weight) nullable() {}

// ReadTransaction reads a transaction as [Read] reads a file.
func ReadTransaction(data []byte) (*Transaction, []Mistake) {
	t, root, mistakes := read[Transaction](data, source{noun: "the transaction"})
	if len(mistakes) > 0 {
		return t, mistakes
	}
	for i, n := range lookup(root, "changes").Content {
		text, err := t.Changes[i].text(n)
		if err != nil {
			mistakes = append(mistakes, Mistake{At: t.Changes[i].At, Msg: "this change cannot be written out: " + err.Error()})
		}
		t.Changes[i].Text = text
	}
	return t, mistakes
}

// ReadBackend reads what is said of one backend, whose pool and address are known already, as [Read] reads a file.
func ReadBackend(data []byte) (*BackendState, []Mistake) {
	b, _, mistakes := read[BackendState](data, source{noun: "the backend", told: []string{"pool", "address"}})
	return b, mistakes
}

// lookup returns the value that a sound mapping has at key, or nil.
func lookup(n *yaml.Node, key string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// text writes out what a sound change puts.
func (c *Change) text(n *yaml.Node) (string, error) {
	switch {
	case c.PutRoute != nil:
		return dump(lookup(n, "put_route"))
	case c.PutPool != nil:
		return dump(lookup(n, "put_pool"))
	}
	return "", nil
}

// dump writes a node as a text of its own, without its comments: in a flow mapping they could swallow what follows.
func dump(n *yaml.Node) (string, error) {
	uncomment(n)
	text, err := yaml.Dump(n, yaml.WithIndent(2), yaml.WithLineWidth(-1))
	return string(text), err
}

func uncomment(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, c := range n.Content {
		uncomment(c)
	}
}

// OnReloads are what becomes of a change when the file is loaded again.
type OnReloads struct{}

// Options implements the choices of a [Choice].
func (OnReloads) Options() []Option[string] {
	return []Option[string]{{"keep", "keep"}, {"drop", "drop"}}
}

// BackendStates are what an operator can say of a backend.
type BackendStates struct{}

// Options implements the choices of a [Choice].
func (BackendStates) Options() []Option[string] {
	return []Option[string]{{"ready", "ready"}, {"drain", "drain"}, {"maint", "maint"}}
}

// Hint knows what other balancers call the same things.
func (BackendStates) Hint(word string) string {
	theirs := map[string]string{
		"up": "ready", "enable": "ready", "enabled": "ready", "healthy": "ready",
		"down": "maint", "disable": "maint", "disabled": "maint", "maintenance": "maint",
		"draining": "drain", "stopping": "drain",
	}
	if ours := theirs[word]; ours != "" {
		return didYouMean(ours)
	}
	return ""
}
