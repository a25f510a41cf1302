package capture

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

var (
	client = netip.MustParseAddrPort("192.0.2.1:40000")
	server = netip.MustParseAddrPort("192.0.2.2:443")
)

// tcp is one segment from client to server, or back.
type tcp struct {
	back     bool
	seq      uint32
	syn, ack bool
	data     string
}

func (s tcp) packet(t *testing.T) []byte {
	t.Helper()
	from, to := client, server
	if s.back {
		from, to = server, client
	}
	eth := &layers.Ethernet{SrcMAC: make([]byte, 6), DstMAC: make([]byte, 6), EthernetType: layers.EthernetTypeIPv4}
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	seg := &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: s.seq, SYN: s.syn, ACK: s.ack}
	if err := seg.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	opt := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opt, eth, ip, seg, gopacket.Payload(s.data)); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func pcapFile(t *testing.T, segments []tcp) []byte {
	t.Helper()
	var out bytes.Buffer
	w := pcapgo.NewWriter(&out)
	if err := w.WriteFileHeader(65536, layers.LinkTypeEthernet); err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		p := s.packet(t)
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(p), Length: len(p)}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

func pcapngFile(t *testing.T, segments []tcp) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := pcapgo.NewNgWriter(&out, layers.LinkTypeEthernet)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range segments {
		p := s.packet(t)
		ci := gopacket.CaptureInfo{Timestamp: time.Unix(1, 0), CaptureLength: len(p), Length: len(p)}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestReadPutsTheClientsBytesInOrder(t *testing.T) {
	const top = 0xffffffff // sequence numbers wrap
	for _, c := range []struct {
		name     string
		segments []tcp
		want     string
		lost     bool
	}{
		{"one segment", []tcp{{seq: 9, syn: true}, {seq: 10, data: "hello"}}, "hello", false},
		{"two segments swapped", []tcp{{seq: 9, syn: true}, {seq: 13, data: "lo"}, {seq: 10, data: "hel"}}, "hello", false},
		{"a segment sent again", []tcp{{seq: 9, syn: true}, {seq: 10, data: "hel"}, {seq: 10, data: "hel"}, {seq: 13, data: "lo"}}, "hello", false},
		{"segments that overlap", []tcp{{seq: 9, syn: true}, {seq: 10, data: "hell"}, {seq: 12, data: "llo"}}, "hello", false},
		{"the first bytes are missing", []tcp{{seq: 9, syn: true}, {seq: 13, data: "lo"}}, "", true},
		{"bytes in the middle are missing", []tcp{{seq: 9, syn: true}, {seq: 10, data: "he"}, {seq: 14, data: "o"}}, "he", true},
		{"sequence numbers that wrap", []tcp{{seq: top - 2, syn: true}, {seq: top - 1, data: "he"}, {seq: 0, data: "llo"}}, "hello", false},
		{"data on the SYN", []tcp{{seq: 9, syn: true, data: "hello"}}, "hello", false},
		{"no SYN in the capture", []tcp{{seq: 13, data: "lo"}, {seq: 10, data: "hel"}}, "hello", false},
		{"longer than the limit", []tcp{{seq: 9, syn: true}, {seq: 10, data: "hello, world"}, {seq: 22, data: "!"}}, "hello, w", false},
	} {
		for format, file := range map[string][]byte{"pcap": pcapFile(t, c.segments), "pcapng": pcapngFile(t, c.segments)} {
			streams, err := Read(bytes.NewReader(file), 8)
			if err != nil || len(streams) != 1 {
				t.Errorf("%s, %s: got %d streams, %v", c.name, format, len(streams), err)
				continue
			}
			if got := streams[0]; string(got.Data) != c.want || got.Lost != c.lost {
				t.Errorf("%s, %s: got %q, lost %v; want %q, lost %v", c.name, format, got.Data, got.Lost, c.want, c.lost)
			}
		}
	}
}

func TestReadTellsTheSidesApart(t *testing.T) {
	file := pcapFile(t, []tcp{
		{seq: 9, syn: true}, {back: true, seq: 99, syn: true, ack: true},
		{seq: 10, ack: true, data: "ping"}, {back: true, seq: 100, ack: true, data: "pong"},
	})
	got, err := Read(bytes.NewReader(file), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1, 0).UTC()
	want := []Stream{
		{From: client, To: server, Start: at, Opened: true, Data: []byte("ping")},
		{From: server, To: client, Start: at, Answered: true, Data: []byte("pong")},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestReadBeginsAnewWhenThePortsAreReused(t *testing.T) {
	file := pcapFile(t, []tcp{{seq: 9, syn: true}, {seq: 10, data: "one"}, {seq: 500, syn: true}, {seq: 501, data: "two"}})
	got, err := Read(bytes.NewReader(file), 1<<16)
	if err != nil || len(got) != 2 || string(got[0].Data) != "one" || string(got[1].Data) != "two" {
		t.Errorf("got %+v, %v; want streams one and two", got, err)
	}
}

func TestReadTakesAFileThatIsCutAnywhere(t *testing.T) {
	segments := []tcp{{seq: 9, syn: true}, {seq: 10, data: "hello"}}
	whole := pcapFile(t, segments)
	for n := 24; n < len(whole); n++ { // 24: the file header of pcap
		if _, err := Read(bytes.NewReader(whole[:n]), 1<<16); err != nil {
			t.Errorf("pcap cut after %d bytes: %v", n, err)
		}
	}
}

func TestIs(t *testing.T) {
	for _, c := range []struct {
		name string
		in   string
		want bool
	}{
		{"pcap, little-endian", "\xd4\xc3\xb2\xa1", true},
		{"pcap, big-endian", "\xa1\xb2\xc3\xd4", true},
		{"pcap with nanoseconds", "\x4d\x3c\xb2\xa1", true},
		{"pcapng", "\x0a\x0d\x0d\x0a", true},
		{"gzip", "\x1f\x8b\x08\x00", true},
		{"a TLS record", "\x16\x03\x01\x02", false},
		{"too short to tell", "\xd4\xc3", false},
	} {
		if got := Is([]byte(c.in)); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("\x0a\x0d\x0d\x0a"))
	f.Add([]byte("\xd4\xc3\xb2\xa1\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x01\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		streams, err := Read(bytes.NewReader(b), 1<<10)
		if err != nil && streams != nil {
			t.Error("streams beside an error")
		}
		for _, s := range streams {
			if len(s.Data) > 1<<10 {
				t.Errorf("%d bytes, more than the limit", len(s.Data))
			}
		}
	})
}
