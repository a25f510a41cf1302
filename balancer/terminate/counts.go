package terminate

import (
	"crypto/tls"
	"sync/atomic"
)

// Handshakes are the handshakes that were completed, of one kind.
type Handshakes struct {
	Version string // "1.2" or "1.3"
	Group   string // "X25519MLKEM768"; "none": a session of TLS 1.2 was resumed
	Resumed bool
	Count   uint64
}

// Stats are what a Terminator has done, and is doing.
type Stats struct {
	Done        []Handshakes // completed, by kind; kinds that never were are left out
	Failed      uint64       // not completed; why is counted as the cause of the connection's end
	Connections int64        // live
	Budget      BudgetStats
}

// groups are those that handshakes are counted by.
var groups = [...]tls.CurveID{
	0, tls.X25519MLKEM768, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024,
}

// counts count handshakes. A kind that is not known counts as the last group.
type counts struct {
	done   [2][len(groups)][2]atomic.Uint64 // by version, group and resumption
	failed atomic.Uint64
}

func (n *counts) add(i *Info) {
	version, resumed, group := 0, 0, len(groups)-1
	if i.Version == tls.VersionTLS13 {
		version = 1
	}
	if i.Resumed {
		resumed = 1
	}
	for at, g := range groups {
		if g == i.Group {
			group = at
		}
	}
	n.done[version][group][resumed].Add(1)
}

// Stats copies the counters.
func (t *Terminator) Stats() Stats {
	s := Stats{Failed: t.counts.failed.Load(), Connections: t.live.Load(), Budget: t.budget.Stats()}
	for v, version := range [...]string{"1.2", "1.3"} {
		for g, group := range groups {
			for r, resumed := range [...]bool{false, true} {
				if n := t.counts.done[v][g][r].Load(); n > 0 {
					s.Done = append(s.Done, Handshakes{version, groupName(group), resumed, n})
				}
			}
		}
	}
	return s
}

// groupName is the word for a group in logs and metrics.
func groupName(g tls.CurveID) string {
	switch g {
	case 0:
		return "none"
	case tls.CurveP256:
		return "P-256"
	case tls.CurveP384:
		return "P-384"
	case tls.CurveP521:
		return "P-521"
	}
	return g.String()
}
