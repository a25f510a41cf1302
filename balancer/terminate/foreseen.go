package terminate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/route"
)

// Foresee says why the handshake of a client is refused whatever else it offers, with the word for it in the log; "" if nothing
// is known. It is what a [route.Explanation] shows.
func (p *Policy) Foresee(q *route.Query) (cause, why string) {
	offered, _ := q.ALPN.(route.ProtocolList)
	switch {
	case q.Dot:
		return "handshake_fail", "the name ends with a dot, which TLS does not allow (RFC 6066 section 3); only hosts that pass through leave that to the backend"
	case slices.Equal(offered, route.ProtocolList{certs.ChallengeProtocol}): // is answered apart from the policy
	case len(offered) > 0 && !Speaks(p.cfg.ALPN, offered):
		return "no_common_protocol", fmt.Sprintf("the client offers %s; alpn of the route's terminate has %s", offered, strings.Join(p.cfg.ALPN, ", "))
	}
	return "", ""
}

// Speaks reports whether a handshake comes about with a client that offers application protocols, where those of ours are as in
// [Config.ALPN]: one of them is both's, or either has none.
func Speaks(ours, offered []string) bool {
	return len(ours) == 0 || len(offered) == 0 || slices.ContainsFunc(offered, func(p string) bool { return slices.Contains(ours, p) })
}
