package peek_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/seed-23b4a313/switchyard/peek"
)

// captured is a hello of OpenSSL 3.0, as it came from the socket.
func captured() []byte {
	text, err := os.ReadFile("testdata/clients/openssl_alpn.hex")
	if err != nil {
		panic(err)
	}
	_, digits, _ := strings.Cut(string(text), "\n")
	b, err := hex.DecodeString(strings.Join(strings.Fields(digits), ""))
	if err != nil {
		panic(err)
	}
	return b
}

// A server reads until the parser has an answer, and no further than it allows.
func ExampleParser_Parse() {
	client, conn := net.Pipe()
	go func() {
		for _, b := range captured() { // a slow client
			_, _ = client.Write([]byte{b})
		}
	}()

	var parser peek.Parser
	var hello peek.Hello
	var received []byte
	buf := make([]byte, 4096)
	err := peek.ErrIncomplete
	for err == peek.ErrIncomplete {
		n, readErr := conn.Read(buf)
		if readErr != nil {
			fmt.Println(readErr)
			return
		}
		received = append(received, buf[:n]...)
		err = parser.Parse(received, &hello)
	}
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, %d of %d bytes\n", hello.ServerName, parser.Consumed(), len(received))
	// Output: www.example.com, 339 of 339 bytes
}

func ExampleParseClientHello() {
	hello, err := peek.ParseClientHello(captured())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("name %s, h2 %t, %s, ECH %s\n", hello.ServerName, hello.ALPN.Contains("h2"),
		peek.VersionName(hello.MaxVersion()), hello.ECH)
	for group := range hello.KeyShares.All() {
		fmt.Println("key share for", peek.GroupName(group))
	}
	// Output:
	// name www.example.com, h2 true, TLS 1.3, ECH none
	// key share for x25519
}

func ExampleHello_JA4() {
	hello, err := peek.ParseClientHello(captured())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(hello.JA4())
	// Output: t13d3111h2_e8f1e7e78f70_1f22a2ca17c4
}

// The handshake message alone, as QUIC carries it.
func ExampleParser_ParseMessage() {
	const recordHeader = 5
	var parser peek.Parser
	var hello peek.Hello
	err := parser.ParseMessage(captured()[recordHeader:], &hello)
	fmt.Println(string(hello.ServerName), err)
	// Output: www.example.com <nil>
}

// A malformed hello says what is wrong and where.
func ExampleSyntaxError() {
	_, err := peek.ParseClientHello(bytes.Replace(captured(), []byte("www."), []byte("www\x00"), 1))
	fmt.Println(err)
	// Output: peek: malformed: server name holds a byte that no host name has at byte 144
}

// A server that refuses says so in seven bytes, and so does a balancer.
func ExampleParseServerFlight() {
	alert := peek.AppendAlert(nil, peek.AlertUnrecognizedName)
	for _, n := range []int{6, 7} {
		var flight peek.ServerFlight
		err := peek.ParseServerFlight(alert[:n], &flight)
		fmt.Println(n, "bytes:", err, flight.Alert, peek.AlertName(flight.AlertDescription))
	}
	// Output:
	// 6 bytes: peek: hello is incomplete false close_notify
	// 7 bytes: <nil> true unrecognized_name
}
