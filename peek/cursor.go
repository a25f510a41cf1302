package peek

// cursor is the unread rest of a message. A method that needs more bytes than remain
// reports false and consumes nothing; no other code indexes a message.
type cursor []byte

func (c *cursor) take(n int) ([]byte, bool) {
	if n < 0 || n > len(*c) {
		return nil, false
	}
	v := (*c)[:n:n] // cap == len: a caller's append cannot reach the rest
	*c = (*c)[n:]
	return v, true
}

func (c *cursor) u8() (int, bool) {
	if len(*c) < 1 {
		return 0, false
	}
	v := int((*c)[0])
	*c = (*c)[1:]
	return v, true
}

func (c *cursor) u16() (int, bool) {
	if len(*c) < 2 {
		return 0, false
	}
	v := int((*c)[0])<<8 | int((*c)[1])
	*c = (*c)[2:]
	return v, true
}

// vec8 takes a vector whose length is in the one byte before it.
func (c *cursor) vec8() ([]byte, bool) {
	if len(*c) < 1 {
		return nil, false
	}
	return c.vector(1, int((*c)[0]))
}

// vec16 takes a vector whose length is in the two bytes before it.
func (c *cursor) vec16() ([]byte, bool) {
	if len(*c) < 2 {
		return nil, false
	}
	return c.vector(2, int((*c)[0])<<8|int((*c)[1]))
}

// vector takes n bytes after the prefix, and drops that with them.
func (c *cursor) vector(prefix, n int) ([]byte, bool) {
	end := prefix + n
	if end > len(*c) {
		return nil, false
	}
	v := (*c)[prefix:end:end]
	*c = (*c)[end:]
	return v, true
}

func (c *cursor) empty() bool { return len(*c) == 0 }
