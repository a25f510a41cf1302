package resolve

import (
	"encoding/binary"
	"net"
)

// metered returns c as a connection of its kind that shows m what it carries. Go's resolver tells datagrams from
// streams by whether the connection is a net.PacketConn, so a datagram connection has to stay one.
func metered(c net.Conn, m *meter) net.Conn {
	if u, ok := c.(*net.UDPConn); ok {
		return &packetConn{UDPConn: u, meter: m}
	}
	return &streamConn{Conn: c, meter: m}
}

// packetConn carries one message per Write and per Read.
type packetConn struct {
	*net.UDPConn
	meter *meter
	last  query // sent
}

func (c *packetConn) Write(b []byte) (int, error) {
	c.last = c.meter.ask(b)
	return c.UDPConn.Write(b)
}

func (c *packetConn) Read(b []byte) (int, error) {
	n, err := c.UDPConn.Read(b)
	c.meter.see(b[:n], c.last)
	return n, err
}

// streamConn carries messages with their length in two bytes before them (RFC 1035 §4.2.2). Go's resolver writes
// a query with its length at once; reads may cut the answer anywhere.
type streamConn struct {
	net.Conn
	meter *meter
	last  query  // sent
	frame []byte // what was read of the present length and message
}

func (c *streamConn) Write(b []byte) (int, error) {
	if len(b) > 2 {
		c.last = c.meter.ask(b[2:])
	}
	return c.Conn.Write(b)
}

func (c *streamConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.gather(b[:n])
	return n, err
}

// gather appends part of the stream and takes note of every message that is complete. It keeps less than one
// message, 64 KiB, beyond part.
func (c *streamConn) gather(part []byte) {
	c.frame = append(c.frame, part...)
	for len(c.frame) >= 2 {
		end := 2 + int(binary.BigEndian.Uint16(c.frame))
		if len(c.frame) < end {
			return
		}
		c.meter.see(c.frame[2:end], c.last)
		c.frame = c.frame[end:]
	}
}
