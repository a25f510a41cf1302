package peek

import (
	"testing"

	utls "github.com/refraction-networking/utls"
)

// benchHello is a hello of 1.7 KB with an X25519MLKEM768 key share, as Chrome 133 sends it.
func benchHello(b *testing.B) []byte {
	b.Helper()
	return browser(utls.HelloChrome_133)
}

func BenchmarkParse(b *testing.B) {
	wire := benchHello(b)
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
