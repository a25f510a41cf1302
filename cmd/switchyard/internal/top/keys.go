package top

// Key is what a person asked for.
type Key uint8

// The keys.
const (
	KeyNone Key = iota
	KeyQuit
	KeyPause
	KeySort
	KeyNext     // table
	KeyPrevious // table
	KeyUp
	KeyDown
	KeyPageUp
	KeyPageDown
	KeyTop
)

// plainKeys are those of one byte. In raw mode Ctrl-C is a byte like any other.
var plainKeys = map[byte]Key{
	'q': KeyQuit, 'Q': KeyQuit, 0x03: KeyQuit, 0x04: KeyQuit, 'p': KeyPause, ' ': KeyPause, 's': KeySort,
	'\t': KeyNext, 'k': KeyUp, 'j': KeyDown, 'g': KeyTop,
}

// sequences are those of several bytes, after ESC [ or ESC O (xterm, VT220).
var sequences = map[string]Key{
	"A": KeyUp, "B": KeyDown, "C": KeyNext, "D": KeyPrevious, "Z": KeyPrevious, "H": KeyTop, "1~": KeyTop,
	"5~": KeyPageUp, "6~": KeyPageDown,
}

// Keys makes keys of the bytes of a terminal, however they are cut. The zero Keys is ready.
type Keys struct {
	escape []byte // what has come of a sequence; nil outside of one
}

// longestSequence bounds what is taken for one: whatever is longer is none.
const longestSequence = 16

// Read returns the keys in b, for which anything that is not known counts as nothing.
func (k *Keys) Read(b []byte) (keys []Key) {
	for _, c := range b {
		if key := k.next(c); key != KeyNone {
			keys = append(keys, key)
		}
	}
	return keys
}

func (k *Keys) next(c byte) Key {
	const esc = 0x1b
	switch {
	case c == esc:
		k.escape = []byte{esc}
		return KeyNone
	case k.escape == nil:
		return plainKeys[c]
	case len(k.escape) == 1 && c != '[' && c != 'O':
		k.escape = nil // ESC alone, and then this
		return plainKeys[c]
	case len(k.escape) > 1 && c >= 0x40 && c <= 0x7e: // the last byte of a sequence (ECMA-48 5.4)
		key := sequences[string(append(k.escape[2:], c))]
		k.escape = nil
		return key
	case len(k.escape) == longestSequence:
		k.escape = nil
		return KeyNone
	}
	k.escape = append(k.escape, c)
	return KeyNone
}
