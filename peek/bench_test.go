package peek

import (
	"fmt"
	"testing"
)

func benchmarkWhole(b *testing.B, wire []byte) {
	var p Parser
	var h Hello
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		if err := p.Parse(wire, &h); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	msg := mustParse(b, postQuantumHello()).Raw
	b.Run("X25519MLKEM768 in one record", func(b *testing.B) { benchmarkWhole(b, records(msg, maxRecordSize)) })
	b.Run("X25519MLKEM768 in two records", func(b *testing.B) { benchmarkWhole(b, recordsAt(msg, 1000)) })
	b.Run("X25519MLKEM768 in one-byte records", func(b *testing.B) { benchmarkWhole(b, records(msg, 1)) })
	b.Run("64 KiB in five records", func(b *testing.B) {
		s := plainSpec(sni("a.example.com"))
		s.pad(1 << 16)
		benchmarkWhole(b, wireOf(s))
	})
	b.Run("OpenSSL 3.0", func(b *testing.B) { benchmarkWhole(b, readHex("testdata/clients/openssl_alpn.hex")) })
	b.Run("two segments", func(b *testing.B) {
		wire := records(msg, maxRecordSize)
		var p Parser
		var h Hello
		b.ReportAllocs()
		for b.Loop() {
			if err := p.Parse(wire[:1460], &h); err != ErrIncomplete {
				b.Fatal(err)
			}
			if err := p.Parse(wire, &h); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("malformed", func(b *testing.B) {
		wire := wireOf(plainSpec(alpn("h2"), sni("a.example.com", "b.example.com")))
		var p Parser
		var h Hello
		b.ReportAllocs()
		for b.Loop() {
			if err := p.Parse(wire, &h); err == nil {
				b.Fatal("accepted")
			}
		}
	})
}

// R7: the time for each byte of a trickle does not grow with the hello: MB/s stay.
func BenchmarkTrickle(b *testing.B) {
	for _, size := range []int{1 << 14, 1 << 15, 1 << 16} {
		s := plainSpec(sni("slow.example.com"))
		s.pad(size)
		wire := wireOf(s)
		b.Run(fmt.Sprintf("%d KiB byte by byte", size>>10), func(b *testing.B) {
			var p Parser
			var h Hello
			b.SetBytes(int64(len(wire)))
			b.ReportAllocs()
			for b.Loop() {
				for i := range wire {
					_ = p.Parse(wire[:i], &h)
				}
				if err := p.Parse(wire, &h); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// The same hello from the same client, for a caller that waits for what is Missing.
func BenchmarkTrickleWaiting(b *testing.B) {
	s := plainSpec(sni("slow.example.com"))
	s.pad(1 << 16)
	wire := wireOf(s)
	var p Parser
	var h Hello
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		enough := 0
		for i := range len(wire) + 1 {
			if i >= enough {
				_ = p.Parse(wire[:i], &h)
				enough = i + p.Missing()
			}
		}
	}
	if h.ServerName == nil {
		b.Fatal("no hello")
	}
}

// The longest search for a duplicate: 16 000 extensions, none of them twice.
func BenchmarkManyExtensions(b *testing.B) {
	s := plainSpec()
	for i := range 16_000 {
		s.exts = append(s.exts, ext{uint16(100 + i), nil})
	}
	benchmarkWhole(b, wireOf(s))
}

func BenchmarkServerFlight(b *testing.B) {
	for _, f := range serverFlights() {
		b.Run(f.name, func(b *testing.B) {
			var flight ServerFlight
			b.ReportAllocs()
			for b.Loop() {
				if err := ParseServerFlight(f.wire, &flight); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkJA4(b *testing.B) {
	h := mustParse(b, postQuantumHello())
	b.ReportAllocs()
	for b.Loop() {
		_ = h.JA4()
	}
}
