package peek

import (
	"errors"
	"fmt"
)

// ErrIncomplete says that the bytes so far are the start of what may become a sound hello.
var ErrIncomplete = errors.New("peek: hello is incomplete")

// ErrNotTLS says that the first bytes cannot start a TLS connection.
var ErrNotTLS = errors.New("peek: not TLS")

// ErrTooBig says that the hello announces or has reached more than the parser's MaxSize.
var ErrTooBig = errors.New("peek: hello is too big")

// SyntaxError says what is wrong with a hello, and where. The one returned by a [Parser]
// lives inside that parser, so that a flood of malformed hellos makes no garbage: copy it
// to keep it past the parser's next use.
type SyntaxError struct {
	// What is wrong, in a few fixed words; it holds no byte of the input.
	What string
	// Offset counts from the start of the input to the field at fault. For a mistake
	// inside an extension it is where that extension's type stands.
	Offset int
}

// Error implements error.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("peek: malformed: %s at byte %d", e.What, e.Offset)
}

// fault is a mistake found while reading, without the cost of an error value. The zero
// fault is none.
type fault struct {
	what string
	at   int
}
