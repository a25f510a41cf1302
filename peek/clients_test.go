package peek

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	utls "github.com/refraction-networking/utls"
)

// client is one real client's hello, records included, and what it says.
type client struct {
	name string
	wire []byte
	sni  string
	alpn []string // nil: not checked
}

// clients is a corpus of the hellos that real stacks send: browsers as utls knows them,
// crypto/tls in its variations, and captures of what else is on a machine. It is built
// once; nobody may change it.
var clients = sync.OnceValue(func() []client {
	var all []client
	all = append(all, browsers()...)
	all = append(all, goClients()...)
	return append(all, captures()...)
})

const corpusName = "www.example.com"

// browserIDs is every client that utls can imitate.
var browserIDs = []utls.ClientHelloID{
	utls.HelloFirefox_55, utls.HelloFirefox_56, utls.HelloFirefox_63, utls.HelloFirefox_65, utls.HelloFirefox_99,
	utls.HelloFirefox_102, utls.HelloFirefox_105, utls.HelloFirefox_120,
	utls.HelloChrome_58, utls.HelloChrome_62, utls.HelloChrome_70, utls.HelloChrome_72, utls.HelloChrome_83,
	utls.HelloChrome_87, utls.HelloChrome_96, utls.HelloChrome_100, utls.HelloChrome_102,
	utls.HelloChrome_106_Shuffle, utls.HelloChrome_100_PSK, utls.HelloChrome_112_PSK_Shuf,
	utls.HelloChrome_114_Padding_PSK_Shuf, utls.HelloChrome_115_PQ, utls.HelloChrome_115_PQ_PSK,
	utls.HelloChrome_120, utls.HelloChrome_120_PQ, utls.HelloChrome_131, utls.HelloChrome_133,
	utls.HelloIOS_11_1, utls.HelloIOS_12_1, utls.HelloIOS_13, utls.HelloIOS_14,
	utls.HelloAndroid_11_OkHttp, utls.HelloEdge_85, utls.HelloEdge_106, utls.HelloSafari_16_0,
	utls.Hello360_7_5, utls.Hello360_11_0, utls.HelloQQ_11_1,
	utls.HelloRandomizedALPN, utls.HelloRandomizedNoALPN,
}

func browsers() []client {
	var all []client
	for _, id := range browserIDs {
		all = append(all, client{name: id.Str(), wire: browser(id), sni: corpusName})
	}
	return all
}

func browser(id utls.ClientHelloID) []byte {
	u := utls.UClient(nil, &utls.Config{ServerName: corpusName, OmitEmptyPsk: true}, id)
	if err := u.BuildHandshakeState(); err != nil {
		panic("utls " + id.Str() + ": " + err.Error())
	}
	return records(u.HandshakeState.Hello.Raw, maxRecordSize)
}

// postQuantumHello has 1.7 KB and an X25519MLKEM768 key share, as Chrome 133 sends it.
func postQuantumHello() []byte { return browser(utls.HelloChrome_133) }

// goClients is crypto/tls in the variations that change the shape of its hello.
func goClients() []client {
	protocols := []string{"h2", "http/1.1"}
	resume := &tls.Config{ServerName: corpusName, NextProtos: protocols, InsecureSkipVerify: true,
		ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	firstVisit(resume)
	return []client{
		{"Go", goHello(&tls.Config{ServerName: corpusName, NextProtos: protocols}), corpusName, protocols},
		{"Go without ALPN", goHello(&tls.Config{ServerName: corpusName}), corpusName, []string{}},
		{"Go to an address", goHello(&tls.Config{ServerName: "192.0.2.1"}), "", []string{}},
		{"Go TLS 1.2", goHello(&tls.Config{ServerName: corpusName, MaxVersion: tls.VersionTLS12}), corpusName, []string{}},
		{"Go TLS 1.0", goHello(&tls.Config{ServerName: corpusName, MinVersion: tls.VersionTLS10,
			MaxVersion: tls.VersionTLS10}), corpusName, []string{}},
		// CVE-2020-8660: a hello that offers TLS 1.3 and nothing else is TLS.
		{"Go TLS 1.3 only", goHello(&tls.Config{ServerName: corpusName, MinVersion: tls.VersionTLS13}), corpusName, []string{}},
		{"Go X25519 only", goHello(&tls.Config{ServerName: corpusName,
			CurvePreferences: []tls.CurveID{tls.X25519}}), corpusName, []string{}},
		{"Go TLS-ALPN-01", goHello(&tls.Config{ServerName: corpusName,
			NextProtos: []string{"acme-tls/1"}}), corpusName, []string{"acme-tls/1"}},
		{"Go resuming", goHello(resume), corpusName, protocols},
		{"Go with ECH", goHello(&tls.Config{ServerName: "inner.example.com", MinVersion: tls.VersionTLS13,
			EncryptedClientHelloConfigList: echConfigList(corpusName)}), corpusName, []string{}},
	}
}

// captures is what other programs sent to a socket that only listened.
func captures() []client {
	files, err := filepath.Glob("testdata/clients/*.hex")
	if err != nil || len(files) == 0 {
		panic("no captures in testdata/clients")
	}
	names := map[string]string{"openssl_nosni": "", "wget": "localhost", "git": "localhost"}
	var all []client
	for _, file := range files {
		c := client{name: strings.TrimSuffix(filepath.Base(file), ".hex"), wire: readHex(file), sni: corpusName}
		if name, ok := names[c.name]; ok {
			c.sni = name
		}
		all = append(all, c)
	}
	return all
}

// readHex reads a file of hex digits with a comment in its first line.
func readHex(file string) []byte {
	text, err := os.ReadFile(file)
	if err != nil {
		panic(err)
	}
	_, digits, _ := strings.Cut(string(text), "\n")
	b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil {
		panic(file + ": " + err.Error())
	}
	return b
}

// goHello returns what crypto/tls sends first.
func goHello(config *tls.Config) []byte {
	conn := &scripted{}
	_ = tls.Client(conn, config).Handshake() // ends at the empty answer
	return conn.sent.Bytes()
}

// firstVisit lets config's session cache learn a ticket. It takes a socket, for server
// and client both write before they read, and a net.Pipe holds nothing.
func firstVisit(config *tls.Config) {
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{testCertificate()}, NextProtos: config.NextProtos})
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	go func() {
		if conn, err := listener.Accept(); err == nil {
			_, _ = conn.Write([]byte("x")) // the ticket goes before it
			_ = conn.Close()
		}
	}()
	conn, err := tls.Dial("tcp", listener.Addr().String(), config)
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		panic("no session to resume: " + err.Error())
	}
}

// echConfigList is the ECH configuration of a server nobody has the key of (RFC 9849 §4).
func echConfigList(publicName string) []byte {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	contents := []byte{7, 0, 32} // config id, DHKEM(X25519, HKDF-SHA256)
	contents = append(contents, vec16(key.PublicKey().Bytes())...)
	contents = append(contents, vec16(codes(kdfHKDFSHA256, aeadAES128GCM))...)
	contents = append(contents, 0) // maximum name length
	contents = append(contents, vec8([]byte(publicName))...)
	contents = append(contents, 0, 0) // no extensions
	return vec16(extBlock(ext{extECH, contents}))
}

// quicHello is the content of the first CRYPTO frames of a QUIC client: no records.
func quicHello(t testing.TB) []byte {
	t.Helper()
	conn := tls.QUICClient(&tls.QUICConfig{TLSConfig: &tls.Config{ServerName: corpusName, NextProtos: []string{"h3"},
		MinVersion: tls.VersionTLS13}})
	defer conn.Close()
	conn.SetTransportParameters([]byte{1, 2, 0x40, 0x64})
	if err := conn.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	for event := conn.NextEvent(); event.Kind != tls.QUICNoEvent; event = conn.NextEvent() {
		if event.Kind == tls.QUICWriteData {
			return bytes.Clone(event.Data)
		}
	}
	t.Fatal("QUIC client wrote nothing")
	return nil
}

// mustParse reads a hello that has to be sound.
func mustParse(t testing.TB, wire []byte) *Hello {
	t.Helper()
	h, err := ParseClientHello(wire)
	if err != nil {
		t.Fatalf("%v in %x", err, wire)
	}
	return &h
}

func protocolsOf(h *Hello) []string {
	all := []string{}
	for p := range h.ALPN.All() {
		all = append(all, string(p))
	}
	return all
}
