package capture

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// The first four bytes of a capture, read as little-endian.
// Sources: pcap-savefile(5); draft-ietf-opsawg-pcapng §4.1.
const (
	magicMicros        = 0xa1b2c3d4
	magicMicrosSwapped = 0xd4c3b2a1
	magicNanos         = 0xa1b23c4d
	magicNanosSwapped  = 0x4d3cb2a1
	magicNg            = 0x0a0d0d0a // reads the same both ways
)

// Is reports whether b starts like a capture file. Four bytes are enough to tell.
func Is(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	if b[0] == 0x1f && b[1] == 0x8b { // gzip: pcapgo looks inside
		return true
	}
	switch binary.LittleEndian.Uint32(b) {
	case magicMicros, magicMicrosSwapped, magicNanos, magicNanosSwapped, magicNg:
		return true
	}
	return false
}

// Read returns the streams of the capture in r, in the order in which they begin. Of each it keeps at most limit
// bytes. A capture that ends in the middle of a packet, as one still being written does, is read up to there.
func Read(r io.Reader, limit int) ([]Stream, error) {
	next, err := open(r)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	a := newAssembler(limit)
	for n := 1; ; n++ {
		p, err := next()
		switch {
		case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
			return a.streams(), nil
		case err != nil:
			return nil, fmt.Errorf("capture: packet %d: %w", n, err)
		}
		a.add(p)
	}
}

// packetFunc returns the next packet, decoded as far as it could be.
type packetFunc func() (gopacket.Packet, error)

func open(r io.Reader) (packetFunc, error) {
	br := bufio.NewReader(r)
	head, err := br.Peek(4)
	if err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(head) == magicNg {
		return openNg(br)
	}
	pr, err := pcapgo.NewReader(br)
	if err != nil {
		return nil, err
	}
	return func() (gopacket.Packet, error) {
		data, ci, err := pr.ReadPacketData()
		return decode(data, ci, pr.LinkType()), err
	}, nil
}

// openNg opens a pcapng file, in which each interface has a link type of its own.
func openNg(r io.Reader) (packetFunc, error) {
	opt := pcapgo.DefaultNgReaderOptions
	opt.WantMixedLinkType = true
	ng, err := pcapgo.NewNgReader(r, opt)
	if err != nil {
		return nil, err
	}
	return func() (gopacket.Packet, error) {
		data, ci, err := ng.ReadPacketData()
		if err != nil {
			return nil, err
		}
		link, _ := ci.AncillaryData[0].(layers.LinkType)
		return decode(data, ci, link), nil
	}, nil
}

func decode(data []byte, ci gopacket.CaptureInfo, link layers.LinkType) gopacket.Packet {
	p := gopacket.NewPacket(data, decoder(link), gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	p.Metadata().CaptureInfo = ci
	return p
}

// decoder adds the numbers for bare IP packets that package layers has no decoder for: 12 and 14 are DLT_RAW on
// the BSDs, 228 and 229 say the version too (https://www.tcpdump.org/linktypes.html).
func decoder(link layers.LinkType) gopacket.Decoder {
	switch link {
	case 12, 14, layers.LinkTypeIPv4, layers.LinkTypeIPv6:
		return layers.LinkTypeRaw
	}
	return link
}
