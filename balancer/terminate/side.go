package terminate

import (
	"crypto/tls"
	"errors"
	"io"
)

// side is one end of a relay: a socket, with TLS over it or without. One goroutine receives and one sends.
type side struct {
	sock *socket   // Conn.mu, to others than the Conn's goroutine
	tls  *tls.Conn // nil: plain
	lent *block    // what receive has put TLS's bytes into
}

// errCut says that a stream ended without close_notify: whoever sent it may have meant to send more, or somebody on the way has
// cut it (RFC 8446 §6.1).
var errCut = errors.New("ended without close_notify")

// receive waits for bytes. What it returns is valid until the next receive or giveBack. While it waits it holds no buffer. The
// error is io.EOF for an end in order, errCut for a FIN in place of one.
func (s *side) receive() ([]byte, error) {
	s.giveBack()
	if s.tls == nil {
		if err := s.sock.wait(); err != nil {
			return nil, err
		}
		return s.sock.stash, nil
	}
	s.sock.eager = true
	for {
		s.lent = blocks.Get().(*block)
		n, err := s.tls.Read(s.lent[:])
		if n > 0 {
			return s.lent[:n], nil // an error comes back with the next one
		}
		s.giveBack()
		switch {
		case err == nil: // a record without content
		case !errors.Is(err, errNotYet):
			return nil, err
		default:
			if err := s.sock.wait(); err == io.EOF {
				return nil, errCut
			} else if err != nil {
				return nil, err
			}
		}
	}
}

// giveBack returns what receive has borrowed.
func (s *side) giveBack() {
	if s.lent != nil {
		blocks.Put(s.lent)
		s.lent = nil
	}
	if s.tls == nil {
		s.sock.giveBack()
	}
}

// send sends all of b.
func (s *side) send(b []byte) error {
	var err error
	if s.tls != nil {
		_, err = s.tls.Write(b)
	} else {
		_, err = s.sock.Write(b)
	}
	return err
}

// end sends FIN, after a close_notify if the stream has ended in order.
func (s *side) end(inOrder bool) {
	if s.tls != nil && inOrder {
		s.tls.CloseWrite() //nolint:errcheck // if it cannot be sent, the peer is not there to read it
	}
	s.sock.closeWrite()
}
