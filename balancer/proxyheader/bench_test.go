package proxyheader_test

import (
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/balancer/proxyheader"
)

func BenchmarkParse(b *testing.B) {
	inputs := []struct{ name, in string }{
		{"none", "\x16\x03\x01"},
		{"v1", "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n"},
		{"v2", v2(0x21, 0x11, block4)},
		{"v2-tlvs", checksummed(v2(0x21, 0x21, block6, tlv(0x01, "h2"), tlv(0x02, "a.example.com"), tlv(0x05, "0123456789abcdef"), tlv(0x03, "SUM!")))},
		{"v2-64KiB", v2(0x21, 0x11, block4, tlv(0xe0, strings.Repeat("x", 65535-12-3)))},
	}
	for _, c := range inputs {
		b.Run(c.name, func(b *testing.B) {
			in := []byte(c.in)
			b.ReportAllocs()
			for b.Loop() {
				var info proxyheader.Info
				_, _ = proxyheader.Parse(in, &info)
			}
		})
	}
}

// BenchmarkParseTrickle gives the cost per byte of a 64 KiB header that arrives byte by byte.
func BenchmarkParseTrickle(b *testing.B) {
	in := []byte(v2(0x21, 0x11, block4, tlv(0xe0, strings.Repeat("x", 65535-12-3))))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		var info proxyheader.Info
		for cut := range len(in) + 1 {
			_, _ = proxyheader.Parse(in[:cut], &info)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	outs := []struct {
		name string
		o    proxyheader.Out
	}{
		{"v1", proxyheader.Out{Version: 1, Source: info4.Source, Dest: info4.Dest}},
		{"v2", proxyheader.Out{Version: 2, Source: info4.Source, Dest: info4.Dest}},
		{"v2-tlvs", proxyheader.Out{Version: 2, Source: info6.Source, Dest: info6.Dest, Authority: "a.example.com", ALPN: "h2", UniqueID: make([]byte, 16)}},
	}
	for _, c := range outs {
		b.Run(c.name, func(b *testing.B) {
			buf := make([]byte, 0, 512)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = proxyheader.Append(buf, &c.o)
			}
		})
	}
}
