package capture

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// Stream is the start of what one side of a TCP connection sent.
type Stream struct {
	From, To netip.AddrPort
	Start    time.Time // of its first packet in the capture
	// Opened says that the capture has the SYN of this side without an ACK: From is the client for sure.
	// When it is false and Answered is false too, the capture began after the connection.
	Opened   bool
	Answered bool // the SYN of this side came with an ACK: From is the server
	// Data are the first bytes in order, up to the limit or to the first byte that the capture does not have.
	Data []byte
	// Lost says that Data ends because the capture lacks a byte and has some after it.
	Lost bool
}

// assembler collects the segments of all directions of all connections.
type assembler struct {
	limit int
	flows map[flow]*direction
	order []*direction
}

type flow struct{ from, to netip.AddrPort }

// direction is one side of one connection while it is collected.
type direction struct {
	Stream
	first    uint32 // sequence number of the first byte of data
	pinned   bool   // first comes from a SYN, not from the earliest segment seen
	segments []segment
}

type segment struct {
	seq  uint32
	data []byte // aliases the packet, which is not reused
}

func newAssembler(limit int) *assembler {
	return &assembler{limit: limit, flows: make(map[flow]*direction)}
}

// add takes the TCP segment out of p, if it has one.
func (a *assembler) add(p gopacket.Packet) {
	tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok {
		return
	}
	from, to, ok := addresses(p, tcp)
	if !ok {
		return
	}
	d := a.direction(flow{from, to}, tcp, p.Metadata().Timestamp)
	if tcp.SYN {
		d.first, d.pinned = tcp.Seq+1, true
		d.Opened, d.Answered = !tcp.ACK, tcp.ACK
	}
	if len(tcp.Payload) == 0 {
		return
	}
	seq := tcp.Seq
	if tcp.SYN { // TCP Fast Open: the SYN itself takes one number (RFC 9293 §3.4)
		seq++
	}
	if !d.pinned && int32(seq-d.first) < 0 {
		d.first = seq // an earlier byte that was captured later
	}
	if ahead := int32(seq - d.first); ahead >= 0 && int(ahead) >= a.limit {
		return
	}
	d.segments = append(d.segments, segment{seq, tcp.Payload})
}

// direction returns the direction for f. A new SYN on a known pair of ports that already sent data begins another.
func (a *assembler) direction(f flow, tcp *layers.TCP, at time.Time) *direction {
	d := a.flows[f]
	if reopened := d != nil && tcp.SYN && len(d.segments) > 0 && tcp.Seq+1 != d.first; d == nil || reopened {
		d = &direction{Stream: Stream{From: f.from, To: f.to, Start: at}, first: tcp.Seq}
		a.flows[f] = d
		a.order = append(a.order, d)
	}
	return d
}

func addresses(p gopacket.Packet, tcp *layers.TCP) (from, to netip.AddrPort, ok bool) {
	var src, dst netip.Addr
	switch ip := p.NetworkLayer().(type) {
	case *layers.IPv4:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
	case *layers.IPv6:
		src, _ = netip.AddrFromSlice(ip.SrcIP)
		dst, _ = netip.AddrFromSlice(ip.DstIP)
	default:
		return from, to, false
	}
	from = netip.AddrPortFrom(src.Unmap(), uint16(tcp.SrcPort))
	to = netip.AddrPortFrom(dst.Unmap(), uint16(tcp.DstPort))
	return from, to, src.IsValid() && dst.IsValid()
}

// streams puts the segments of every direction in order.
func (a *assembler) streams() []Stream {
	out := make([]Stream, 0, len(a.order))
	for _, d := range a.order {
		d.join(a.limit)
		out = append(out, d.Stream)
	}
	return out
}

// join fills Data from the segments: sorted by place, each byte once, until one is missing.
func (d *direction) join(limit int) {
	slices.SortStableFunc(d.segments, func(x, y segment) int {
		return cmp.Compare(int32(x.seq-d.first), int32(y.seq-d.first))
	})
	for _, s := range d.segments {
		at := int(int32(s.seq - d.first))
		switch {
		case len(d.Data) >= limit:
			return
		case at > len(d.Data):
			d.Lost = true
			return
		case at+len(s.data) > len(d.Data) && len(d.Data)-at >= 0:
			d.Data = append(d.Data, s.data[len(d.Data)-at:]...)
		}
	}
	d.Data = d.Data[:min(len(d.Data), limit)]
}
