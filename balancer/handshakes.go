package balancer

import (
	"sync/atomic"

	"github.com/seed-23b4a313/switchyard/peek"
)

// handshakes count what the first flights of a pool's backends say: all that there is to see of a handshake that passes
// through. Every label is of a list made here, whatever a backend sends.
type handshakes struct {
	answer   histogram // from the hello sent to the first byte back
	versions [len(versionLabels)]atomic.Uint64
	groups   [len(groupLabels)]atomic.Uint64
	retries  atomic.Uint64 // HelloRetryRequests
	alerts   [256]atomic.Uint64
}

// label is a code point and its name as a label.
type label struct {
	code uint16
	name string
}

// The labels; the last one is for all others. A version that is not known is of an answer that came in pieces, or is no
// ServerHello.
var (
	versionLabels = [...]label{
		{peek.VersionTLS13, "1.3"}, {peek.VersionTLS12, "1.2"}, {peek.VersionTLS11, "1.1"}, {peek.VersionTLS10, "1.0"}, {0, "unknown"},
	}
	groupLabels = [...]label{
		{0x11ec, "X25519MLKEM768"}, {0x11eb, "SecP256r1MLKEM768"}, {0x11ed, "SecP384r1MLKEM1024"}, {0x6399, "X25519Kyber768Draft00"},
		{0x0200, "MLKEM512"}, {0x0201, "MLKEM768"}, {0x0202, "MLKEM1024"},
		{29, "x25519"}, {23, "secp256r1"}, {24, "secp384r1"}, {25, "secp521r1"}, {30, "x448"},
		{256, "ffdhe2048"}, {257, "ffdhe3072"}, {258, "ffdhe4096"}, {0, "other"},
	}
)

// postQuantumGroups is how many of groupLabels, from the first on, withstand a quantum computer.
const postQuantumGroups = 7

// indexOf is where code is among labels; the last one stands for those that are not there.
func indexOf(labels []label, code uint16) int {
	for i := range labels[:len(labels)-1] {
		if labels[i].code == code {
			return i
		}
	}
	return len(labels) - 1
}

// alert counts the alert of a backend.
func (h *handshakes) alert(f *peek.ServerFlight) {
	if f.Alert {
		h.alerts[f.AlertDescription].Add(1)
	}
}

// note counts the first flight of a backend that took ns to come. f is zero for one that could not be read.
func (h *handshakes) note(f *peek.ServerFlight, ns int64) {
	h.answer.observe(ns)
	h.versions[indexOf(versionLabels[:], f.Version)].Add(1)
	switch {
	case f.HelloRetry:
		h.retries.Add(1)
	case f.Version == peek.VersionTLS13 && f.Group != 0: // without a key share, only the ticket's secret is used
		h.groups[indexOf(groupLabels[:], f.Group)].Add(1)
	}
}

// HandshakeStats are what the first flights of a pool's backends have shown. Connections with early data are not
// among them: their answers pass unseen.
type HandshakeStats struct {
	Answer   Histogram         // seconds from the hello sent to the first byte of the backend's answer
	Versions map[string]uint64 // "1.3", "1.2", "1.1", "1.0", "unknown"; all are there
	// Groups are the key exchanges of TLS 1.3, by their IANA names, those that occurred. In earlier versions they are
	// not in the first message.
	Groups      map[string]uint64
	PostQuantum uint64            // of these, with a group that withstands a quantum computer
	Retries     uint64            // HelloRetryRequests
	Alerts      map[string]uint64 // in place of a ServerHello, by the name of RFC 8446, those that occurred
}

func (h *handshakes) stats() HandshakeStats {
	st := HandshakeStats{Versions: map[string]uint64{}, Groups: map[string]uint64{}, Alerts: map[string]uint64{}, Retries: h.retries.Load()}
	h.answer.addTo(&st.Answer)
	for i, l := range versionLabels {
		st.Versions[l.name] = h.versions[i].Load()
	}
	for i, l := range groupLabels {
		n := h.groups[i].Load()
		if i < postQuantumGroups {
			st.PostQuantum += n
		}
		if n > 0 {
			st.Groups[l.name] = n
		}
	}
	for code := range h.alerts {
		if n := h.alerts[code].Load(); n > 0 {
			st.Alerts[peek.AlertName(uint8(code))] += n
		}
	}
	return st
}
