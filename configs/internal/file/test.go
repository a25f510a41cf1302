package file

import "go.yaml.in/yaml/v4"

// Test is one connection, and what must become of it.
type Test struct {
	Mapping
	// What messages call the test. Absent: `tests[0]`, by its place in the list.
	Name Text `yaml:"name" good:"the website over http/1.1" bad:"7"`
	// Server name that the client sends. Absent: it sends none.
	SNI Text `yaml:"sni" good:"www.example.com" bad:"\"*.example.com\""`
	// Application protocols that the client offers: a list, or one alone. Absent: it offers none.
	ALPN Protocols `yaml:"alpn" good:"[h2, http/1.1]" bad:"[]"`
	// Address of the client, after any PROXY header. Absent: not known, so that no `clients` condition holds.
	Client Address `yaml:"client" good:"192.0.2.7" bad:"192.0.2.0/24"`
	// Listener that the connection comes by. Absent: the first one.
	Listener Name `yaml:"listener" good:"public" bad:"nowhere"`
	// What must become of the connection.
	Expect Expect `yaml:"expect" required:"true" good:"{pool: canary}" bad:"{pool: nowhere}"`
}

// Expect is what must become of the connection of a test: one of `pool` and `reject`, and the `route` where it matters.
type Expect struct {
	Mapping
	// The pool that must take the connection. Of a `split`, any pool with a share above 0 passes.
	Pool Name `yaml:"pool" good:"canary" bad:"nowhere"`
	// How the connection must be refused, by a route or by the listener.
	Reject Choice[RejectWord, Rejects] `yaml:"reject" good:"alert" bad:"drop"`
	// The route that must decide. Absent: any, or the listener.
	Route Name `yaml:"route" good:"third" bad:"nowhere"`
}

// Protocols are the application protocols that a client offers: a list of them, or one alone.
type Protocols struct {
	At
	V []Protocol
}

func (t *Protocols) decode(d *decoder, n *yaml.Node, _ *key) {
	if n.Kind == yaml.SequenceNode {
		d.sequence(structValue(&t.V), n, protocolsKey)
	} else {
		t.V = make([]Protocol, 1)
		t.V[0].decode(d, n, nil)
	}
	t.At = d.place(n)
}

// protocolsKey is the range of the list, as `min` and `max` would say it.
var protocolsKey = &key{lo: 1, hi: 64, loText: "1", hiText: "64"}
