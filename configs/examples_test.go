package configs

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-23b4a313/switchyard/route"
)

// The example files are accepted, and do what their comments say.
func TestTheExamplesDoWhatTheySay(t *testing.T) {
	t.Parallel()
	const office, stranger = "198.51.100.7", "203.0.113.200"
	tables := map[string]*route.Table{}
	for _, c := range []struct {
		file, listener, name, alpn, client string
		want                               string // a pool, or a way to refuse
	}{
		{"minimal", "public", "www.example.com", "", stranger, "web"},
		{"minimal", "public", "other.example.com", "", stranger, "alert"},

		{"several-hosts", "public", "example.com", "", stranger, "web"},
		{"several-hosts", "public", "", "", stranger, "web"},
		{"several-hosts", "public", "a.b.customers.example.com", "h2", stranger, "tenants"},
		{"several-hosts", "public", "customers.example.com", "h2", stranger, "alert"},
		{"several-hosts", "public", "intranet.example.com", "", office, "intranet"},
		{"several-hosts", "public", "intranet.example.com", "", stranger, "reset"},

		{"passthrough-beside-termination", "public", "www.example.com", "", stranger, "tls-backends"},
		{"passthrough-beside-termination", "public", "legacy.example.com", "", stranger, "plain-backends"},

		{"two-certificates-one-address", "public", "example.com", "h2", stranger, "websites"},
		{"two-certificates-one-address", "public", "www.example.net", "", stranger, "websites"},
		{"two-certificates-one-address", "public", "vault.example.org", "", stranger, "vault"},
		{"two-certificates-one-address", "public", "other.example.com", "", stranger, "websites"},
		{"two-certificates-one-address", "public", "", "", stranger, "websites"},

		{"behind-a-proxy", "from-the-edge", "partners.example.com", "", stranger, "partners"},
		{"behind-a-proxy", "from-the-edge", "partners.example.com", "", office, "alert"},
		{"behind-a-proxy", "inside", "partners.example.com", "", stranger, "alert"},
		{"behind-a-proxy", "inside", "shop.example.com", "", stranger, "shop"},

		{"acme-tls-alpn-01", "public", "www.example.com", "h2", stranger, "web"},
		{"acme-tls-alpn-01", "public", "www.example.com", "acme-tls/1", stranger, "acme"},
		{"acme-tls-alpn-01", "public", "mail.example.com", "acme-tls/1", stranger, "mail"},

		{"databases-by-sni", "databases", "orders.db.example.net", "postgresql", "10.1.2.3", "orders"},
		{"databases-by-sni", "databases", "orders.db.example.net", "h2", "10.1.2.3", "alert"},
		{"databases-by-sni", "databases", "db-42.shard.example.net", "", "10.1.2.3", "shards"},
		{"databases-by-sni", "databases", "db-420.shard.example.net", "", "10.1.2.3", "alert"},
		{"databases-by-sni", "databases", "sessions.db.example.net", "", stranger, "alert"},
		{"databases-by-sni", "databases", "", "", "10.1.2.3", "alert"},

		{"route-tests", "public", "www.example.com", "", stranger, "web"},
		{"route-tests", "public", "intranet.example.com", "", office, "intranet"},
		{"route-tests", "public", "intranet.example.com", "", stranger, "reset"},
	} {
		if tables[c.file] == nil {
			tables[c.file] = example(t, c.file)
		}
		q := &route.Query{Client: netip.MustParseAddr(c.client), Listener: c.listener}
		if c.alpn != "" {
			q.ALPN = route.ProtocolList{c.alpn}
		}
		if c.name != "" {
			name, err := route.ParseName(c.name)
			if err != nil {
				t.Fatal(err)
			}
			q.Name = name
		}
		d := tables[c.file].Snapshot().Match(q)
		got := d.Pool
		if got == "" {
			got = d.Reject.String()
		}
		if got != c.want {
			t.Errorf("%s: %q with ALPN %q from %s goes to %s; want %s", c.file, c.name, c.alpn, c.client, got, c.want)
		}
	}
	if all, _ := filepath.Glob("../examples/*.yaml"); len(all) != len(tables) {
		t.Errorf("%d examples, and %d of them in this test", len(all), len(tables))
	}
}

// example loads an example the way `switchyard check` does, from a copy whose keys have the mode that a checkout loses.
func example(t *testing.T, name string) *route.Table {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../examples")); err != nil {
		t.Fatal(err)
	}
	keys, err := filepath.Glob(filepath.Join(dir, "certs", "*.key"))
	if err != nil || len(keys) == 0 {
		t.Fatalf("no keys: %v", err)
	}
	for _, key := range keys {
		if err := os.Chmod(key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg, err := Load(filepath.Join(dir, name+".yaml"))
	if err != nil {
		t.Fatalf("%v", err)
	}
	for _, w := range cfg.Warnings {
		t.Errorf("a warning about an example: %v", w)
	}
	set := &route.Set{Routes: cfg.Balancer.Routes}
	for _, l := range cfg.Balancer.Listeners {
		set.Listeners = append(set.Listeners, route.Listener{Name: l.Name, NoSNI: l.NoSNI, UnknownSNI: l.UnknownSNI})
	}
	for _, p := range cfg.Balancer.Pools {
		set.Pools = append(set.Pools, p.Name)
	}
	table, err := route.NewTable(set)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return table
}
