package peek

// Limits of a name. RFC 1035 §2.3.4 allows 255 bytes on the wire of the DNS, which is less
// as text; a name longer than these can be nobody's.
const (
	maxName  = 255
	maxLabel = 63
)

// serverName reads the body of server_name (RFC 6066 §3):
//
//	list length 2 │ name_type 1 = 0 │ length 2 │ host_name
//
// Exactly one entry, and that a host_name, as OpenSSL and BoringSSL have it: a second
// entry would be a second opinion on where the connection goes.
func serverName(body cursor) (name []byte, what string) {
	list, ok := body.vec16()
	if !ok || !body.empty() {
		return nil, "malformed server_name extension"
	}
	entry := cursor(list)
	typ, ok := entry.u8()
	if !ok {
		return nil, "server_name extension without a name"
	}
	if typ != 0 {
		return nil, "server_name entry is no host_name"
	}
	name, ok = entry.vec16()
	switch {
	case !ok:
		return nil, "malformed server_name extension"
	case !entry.empty():
		return nil, "more than one server_name"
	}
	return name, checkName(name)
}

// checkName refuses what cannot be a host name in the DNS. Underscores are accepted, for
// real names have them, and so are hyphens anywhere in a label. One trailing dot is
// accepted. An IPv4 address passes, as four labels, and can match nothing but a route for
// that very text; an IPv6 address has colons and does not.
func checkName(name []byte) (what string) {
	if len(name) == 0 {
		return "empty server name"
	}
	if len(name) > maxName {
		return "server name longer than 255 bytes"
	}
	label := 0
	for _, b := range name {
		switch {
		case nameByte[b]:
			if label++; label > maxLabel {
				return "label of the server name longer than 63 bytes"
			}
		case b != '.':
			return "server name holds a byte that no host name has"
		case label == 0:
			return "empty label in the server name"
		default:
			label = 0
		}
	}
	return ""
}

// nameByte is the bytes of a label.
var nameByte = [256]bool{
	'-': true, '_': true,
	'0': true, '1': true, '2': true, '3': true, '4': true, '5': true, '6': true, '7': true, '8': true, '9': true,
	'A': true, 'B': true, 'C': true, 'D': true, 'E': true, 'F': true, 'G': true, 'H': true, 'I': true, 'J': true,
	'K': true, 'L': true, 'M': true, 'N': true, 'O': true, 'P': true, 'Q': true, 'R': true, 'S': true, 'T': true,
	'U': true, 'V': true, 'W': true, 'X': true, 'Y': true, 'Z': true,
	'a': true, 'b': true, 'c': true, 'd': true, 'e': true, 'f': true, 'g': true, 'h': true, 'i': true, 'j': true,
	'k': true, 'l': true, 'm': true, 'n': true, 'o': true, 'p': true, 'q': true, 'r': true, 's': true, 't': true,
	'u': true, 'v': true, 'w': true, 'x': true, 'y': true, 'z': true,
}
