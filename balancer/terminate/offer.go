package terminate

import (
	"cmp"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-23b4a313/switchyard/peek"
)

// offer lists a part of a hello for whoever looks into a failure. What a stranger sends becomes names of our own table and
// hex, a bounded number of them: printable ASCII of at most 1 KiB, whatever is in the hello.
type offer func(*tls.ClientHelloInfo) string

// mostOffered is how many names are listed. Browsers offer 16 cipher suites or fewer.
const mostOffered = 16

func ciphersOffered(h *tls.ClientHelloInfo) string {
	return codesOffered(h.CipherSuites, peek.CipherSuiteName)
}

func groupsOffered(h *tls.ClientHelloInfo) string {
	return codesOffered(h.SupportedCurves, peek.GroupName)
}

func signaturesOffered(h *tls.ClientHelloInfo) string {
	return codesOffered(h.SignatureSchemes, peek.SignatureSchemeName)
}

// extSupportedVersions is the extension that lists versions (RFC 8446 §4.2.1).
const extSupportedVersions = 43

// versionsOffered lists them as they were sent. A client from before the list names the highest alone, of which crypto/tls
// makes a list.
func versionsOffered(h *tls.ClientHelloInfo) string {
	switch made := h.SupportedVersions; {
	case slices.Contains(h.Extensions, extSupportedVersions):
		return codesOffered(h.SupportedVersions, peek.VersionName)
	case len(made) == 0:
		return "SSL 3.0 or older"
	case len(made) == 1:
		return peek.VersionName(made[0])
	default:
		return peek.VersionName(slices.Max(made)) + " and older"
	}
}

// codesOffered lists code points by name, GREASE aside, which stands for nothing (RFC 8701).
func codesOffered[T ~uint16](codes []T, name func(uint16) string) string {
	return listed(codes, func(c T) string {
		if peek.IsGREASE(uint16(c)) {
			return ""
		}
		return name(uint16(c))
	})
}

// maxProtocol is how much of a protocol's name is shown. The longest that is registered has 29 bytes.
const maxProtocol = 32

// protocolsOffered lists application protocols: those that are words as they are, others in hex.
func protocolsOffered(h *tls.ClientHelloInfo) string {
	return listed(h.SupportedProtos, func(p string) string {
		if len(p) <= maxProtocol && !strings.ContainsFunc(p, notOfProtocol) {
			return p
		}
		text := "0x" + hex.EncodeToString([]byte(p[:min(len(p), maxProtocol/2)]))
		if len(p) > maxProtocol/2 {
			text += "..."
		}
		return text
	})
}

// notOfProtocol finds what could be taken for the words around it.
func notOfProtocol(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-./_", r)
}

// listed lists the first names that are not "", and how many there are besides.
func listed[T any](all []T, name func(T) string) string {
	var names []string
	more := 0
	for _, x := range all {
		switch n := name(x); {
		case n == "":
		case len(names) == mostOffered:
			more++
		default:
			names = append(names, n)
		}
	}
	list := cmp.Or(strings.Join(names, ", "), "none")
	if more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}
