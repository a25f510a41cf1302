package peek

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// CVE-2020-8660 and its like: a client that the parser has not heard of is not "not TLS".
func TestRealClients(t *testing.T) {
	if n := len(clients()); n < 50 {
		t.Fatalf("corpus has %d clients, want at least 50", n)
	}
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			h := mustParse(t, c.wire)
			if got := string(h.ServerName); got != c.sni || (h.ServerName == nil) != (c.sni == "") {
				t.Errorf("server name %q, want %q", got, c.sni)
			}
			if diff := cmp.Diff(c.alpn, protocolsOf(h)); c.alpn != nil && diff != "" {
				t.Errorf("ALPN (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(oracle(c.wire), ours(c.wire), cmp.AllowUnexported(verdict{})); diff != "" {
				t.Errorf("crypto/tls and we differ (-crypto/tls +peek):\n%s", diff)
			}
			t.Logf("%d bytes, max %s, ECH %s, PSK %t, %s", len(c.wire), VersionName(h.MaxVersion()), h.ECH, h.PSK, h.JA4())
		})
	}
}
