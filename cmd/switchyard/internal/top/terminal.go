package top

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/term"
)

// Terminal is a screen of its own: what was there before comes back when it is closed.
type Terminal struct {
	out      io.Writer
	screen   int         // descriptor that knows the size
	keyboard int         // descriptor
	was      *term.State // nil: the keyboard was left as it is
}

// The control sequences (xterm): another screen buffer, and the cursor out of the way; and back.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// IsTerminal reports whether f is one.
func IsTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// OpenTerminal takes the screen that out writes to and, if it is a terminal, the keyboard. The Terminal must be closed
// whatever happens.
func OpenTerminal(out io.Writer, screen, keyboard *os.File) (*Terminal, error) {
	t := &Terminal{out: out, screen: int(screen.Fd()), keyboard: int(keyboard.Fd())}
	if term.IsTerminal(t.keyboard) {
		state, err := term.MakeRaw(t.keyboard)
		if err != nil {
			return nil, err
		}
		t.was = state
	}
	if _, err := io.WriteString(out, enterScreen); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// HasKeyboard reports whether somebody can press a key.
func (t *Terminal) HasKeyboard() bool { return t.was != nil }

// Size is how many characters and lines there are. What does not tell is taken for the smallest of old.
func (t *Terminal) Size() (width, height int) {
	width, height, err := term.GetSize(t.screen)
	if err != nil || width <= 0 || height <= 0 {
		return 80, 24
	}
	return width, height
}

// Draw shows lines from the top, in one write, so that nothing flickers.
func (t *Terminal) Draw(lines []Line) error {
	var b bytes.Buffer
	b.WriteString("\x1b[H") // to the top left; each line is cleared behind its end
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		if l.Head {
			b.WriteString("\x1b[1m" + l.Text + "\x1b[0m")
		} else {
			b.WriteString(l.Text)
		}
		b.WriteString("\x1b[K")
	}
	b.WriteString("\x1b[J")
	_, err := t.out.Write(b.Bytes())
	return err
}

// Close gives screen and keyboard back. A second call does nothing.
func (t *Terminal) Close() {
	if t.out == nil {
		return
	}
	_, _ = io.WriteString(t.out, leaveScreen) // nobody is there to tell
	if t.was != nil {
		_ = term.Restore(t.keyboard, t.was)
	}
	t.out = nil
}
