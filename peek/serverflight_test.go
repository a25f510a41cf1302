package peek

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// flight is what crypto/tls answers to one of its own clients.
type flight struct {
	name string
	wire []byte
	want ServerFlight
}

func serverFlights() []flight {
	cert := []tls.Certificate{testCertificate()}
	name := &tls.Config{ServerName: corpusName}
	return []flight{
		{"TLS 1.3 with X25519MLKEM768", answer(name, &tls.Config{Certificates: cert}),
			ServerFlight{Version: VersionTLS13, CipherSuite: 0x1301, Group: 0x11ec}},
		{"TLS 1.3 with X25519", answer(name, &tls.Config{Certificates: cert, CurvePreferences: []tls.CurveID{tls.X25519}}),
			ServerFlight{Version: VersionTLS13, CipherSuite: 0x1301, Group: 29}},
		{"HelloRetryRequest for P-384", answer(&tls.Config{ServerName: corpusName,
			CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP384}},
			&tls.Config{Certificates: cert, CurvePreferences: []tls.CurveID{tls.CurveP384}}),
			ServerFlight{Version: VersionTLS13, CipherSuite: 0x1301, Group: 24, HelloRetry: true}},
		{"TLS 1.2", answer(name, &tls.Config{Certificates: cert, MaxVersion: tls.VersionTLS12,
			CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}),
			ServerFlight{Version: VersionTLS12, CipherSuite: 0xc02b}},
		{"no version in common", answer(&tls.Config{ServerName: corpusName, MaxVersion: tls.VersionTLS12},
			&tls.Config{Certificates: cert, MinVersion: tls.VersionTLS13}),
			ServerFlight{Alert: true, AlertLevel: alertFatal, AlertDescription: 70}},
		{"no protocol in common", answer(&tls.Config{ServerName: corpusName, NextProtos: []string{"h2"}},
			&tls.Config{Certificates: cert, NextProtos: []string{"smtp"}}),
			ServerFlight{Alert: true, AlertLevel: alertFatal, AlertDescription: 120}},
	}
}

// answer returns the first flight of a server to a client.
func answer(client, server *tls.Config) []byte {
	conn := &scripted{}
	conn.received.Reset(goHello(client))
	_ = tls.Server(conn, server).Handshake() // ends where the client's second flight is missing
	return conn.sent.Bytes()
}

func TestServerFlights(t *testing.T) {
	for _, f := range serverFlights() {
		t.Run(f.name, func(t *testing.T) {
			known := 0 // bytes after which the answer is there
			for i := range len(f.wire) + 1 {
				got := ServerFlight{CipherSuite: 0xdead}
				err := ParseServerFlight(f.wire[:i], &got)
				switch {
				case err == ErrIncomplete && known == 0:
					if got != (ServerFlight{CipherSuite: 0xdead}) {
						t.Fatalf("first %d bytes: incomplete, but wrote %+v", i, got)
					}
					continue
				case err != nil:
					t.Fatalf("first %d bytes: %v", i, err)
				case known == 0:
					known = i
				}
				if diff := cmp.Diff(f.want, got); diff != "" {
					t.Fatalf("first %d bytes (-want +got):\n%s", i, diff)
				}
			}
			first := recordHeaderSize + int(f.wire[3])<<8 + int(f.wire[4])
			if f.want.Alert && known != 7 || known == 0 || known > first {
				t.Errorf("known after %d bytes; the first record has %d", known, first)
			}
		})
	}
}

// A ServerHello may be cut as a ClientHello may.
func TestServerHelloOverRecords(t *testing.T) {
	for _, f := range serverFlights() {
		if f.want.Alert {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			size := messageHeaderSize + int(f.wire[7])<<8 + int(f.wire[8])
			msg := f.wire[recordHeaderSize:][:size]
			for n := 1; n < size; n += 1 + n/4 {
				var got ServerFlight
				more := records(slices.Concat(msg, handshake(11, make([]byte, 100))), n)
				if err := ParseServerFlight(more, &got); err != nil || got != f.want {
					t.Fatalf("records of %d bytes, more messages in them: %v, %+v", n, err, got)
				}
				wire := records(msg, n)
				for i := range len(wire) + 1 {
					var got ServerFlight
					err := ParseServerFlight(wire[:i], &got)
					if i < len(wire) && err != ErrIncomplete || i == len(wire) && (err != nil || got != f.want) {
						t.Fatalf("records of %d bytes, first %d of %d: %v, %+v", n, i, len(wire), err, got)
					}
				}
			}
		})
	}
}

func TestServerFlightErrors(t *testing.T) {
	random := make([]byte, 32)
	hello := func(parts ...[]byte) []byte {
		return record(recordHandshake, handshake(messageServerHello, bytes.Join(parts, nil)))
	}
	start := slices.Concat([]byte{3, 3}, random, []byte{0, 0x13, 1, 0})
	retry := slices.Concat([]byte{3, 3}, []byte(helloRetryRandom), []byte{0, 0x13, 1, 0})
	alert := func(level, description byte) []byte { return record(recordAlert, []byte{level, description}) }
	syntax := func(what string, at int) error { return &SyntaxError{what, at} }
	tests := []struct {
		name string
		wire []byte
		want error
		got  ServerFlight
	}{
		{"HTTP", []byte("HTTP/1.1 400 Bad Request"), ErrNotTLS, ServerFlight{}},
		{"one byte of HTTP", []byte("H"), ErrNotTLS, ServerFlight{}},
		{"record version 2", []byte{22, 2}, ErrNotTLS, ServerFlight{}},
		{"nothing yet", nil, ErrIncomplete, ServerFlight{}},
		{"a handshake record that has not come", []byte{22, 3, 3, 0, 90}, ErrIncomplete, ServerFlight{}},
		{"another message", record(recordHandshake, []byte{11}), syntax("handshake message is no ServerHello", 5), ServerFlight{}},
		{"an empty record", record(recordHandshake, nil), syntax("record is empty or longer than 16 KiB", 3), ServerFlight{}},
		{"a record too long", []byte{22, 3, 3, 0x40, 1}, syntax("record is empty or longer than 16 KiB", 3), ServerFlight{}},
		{"an alert inside the ServerHello", slices.Concat(record(recordHandshake, []byte{2, 0}), alert(2, 40)),
			syntax("another record inside the ServerHello", 7), ServerFlight{}},
		{"a ServerHello of 64 KiB", []byte{22, 3, 3, 0, 4, 2, 1, 0, 0}, syntax("ServerHello longer than 64 KiB", 5), ServerFlight{}},
		{"a ServerHello of nothing", hello(), syntax("ServerHello is cut short", 0), ServerFlight{}},
		{"cut inside the random", hello(start[:20]), syntax("ServerHello is cut short", 0), ServerFlight{}},
		{"cut before the cipher suite", hello(start[:35]), syntax("ServerHello is cut short", 0), ServerFlight{}},
		{"no extensions", hello(start), nil, ServerFlight{Version: VersionTLS12, CipherSuite: 0x1301}},
		{"an extension cut short", hello(start, vec16([]byte{0, 43, 0})), syntax("extension of the ServerHello is cut short", 0), ServerFlight{}},
		{"a byte after the extensions", hello(start, vec16(nil), []byte{0}), syntax("extensions of the ServerHello do not fill it", 0), ServerFlight{}},
		{"a version of one byte", hello(start, vec16(extBlock(ext{43, []byte{3}}))),
			syntax("malformed supported_versions extension", 0), ServerFlight{}},
		{"a key share without key", hello(start, vec16(extBlock(ext{51, []byte{0, 29}}))),
			syntax("malformed key_share extension", 0), ServerFlight{}},
		{"a retry with a key", hello(retry, vec16(extBlock(ext{51, []byte{0, 29, 0, 1, 1}}))),
			syntax("malformed key_share extension", 0), ServerFlight{}},
		{"an alert of three bytes", record(recordAlert, []byte{2, 40, 0}), syntax("alert is not two bytes long", 3), ServerFlight{}},
		{"half an alert", alert(2, 40)[:6], ErrIncomplete, ServerFlight{}},
		{"an alert", alert(2, 40), nil, ServerFlight{Alert: true, AlertLevel: 2, AlertDescription: 40}},
		{"close_notify", alert(1, 0), nil, ServerFlight{Alert: true, AlertLevel: 1}},
		{"an alert of no level", alert(0, 40), nil, ServerFlight{Alert: true, AlertDescription: 40}},
		{"a warning and nothing yet", alert(1, AlertUnrecognizedName), ErrIncomplete, ServerFlight{}},
		{"a warning and a ServerHello", slices.Concat(alert(1, AlertUnrecognizedName), hello(start)), nil,
			ServerFlight{Version: VersionTLS12, CipherSuite: 0x1301}},
		{"a warning and an alert", slices.Concat(alert(1, AlertUnrecognizedName), alert(2, 40)), nil,
			ServerFlight{Alert: true, AlertLevel: 2, AlertDescription: 40}},
		{"a warning and HTTP", append(alert(1, AlertUnrecognizedName), 'H'), ErrNotTLS, ServerFlight{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got ServerFlight
			if err := ParseServerFlight(tt.wire, &got); !reflect.DeepEqual(err, tt.want) || got != tt.got {
				t.Errorf("got %v, %+v, want %v, %+v", err, got, tt.want, tt.got)
			}
		})
	}
}

func TestServerFlightAllocations(t *testing.T) {
	var got ServerFlight
	for _, f := range serverFlights() {
		if n := testing.AllocsPerRun(20, func() { _ = ParseServerFlight(f.wire, &got) }); n != 0 {
			t.Errorf("%s: %v allocations", f.name, n)
		}
	}
}
