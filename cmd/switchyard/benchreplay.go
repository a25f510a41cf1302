package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/capture"
	"github.com/seed-23b4a313/switchyard/peek"
)

// recordedHellos are the complete ClientHellos in a file, in any form that peek reads: one in raw bytes or hex, or that
// of each client in a capture.
func recordedHellos(path string) (hellos [][]byte, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	inputs, err := clientBytes(bufio.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, b := range inputs {
		hello, err := helloIn(b)
		switch {
		case err == nil:
			hellos = append(hellos, hello)
		case len(inputs) == 1:
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	if len(hellos) == 0 {
		return nil, withHint(fmt.Errorf("%s: no complete ClientHello", path), "switchyard peek %s says what is in it", path)
	}
	return hellos, nil
}

// clientBytes is what each client in the input has sent.
func clientBytes(br *bufio.Reader) (inputs [][]byte, err error) {
	head, _ := br.Peek(16)
	if len(head) == 0 {
		return nil, errors.New("the input is empty")
	}
	if capture.Is(head) {
		streams, err := capture.Read(br, peekLimit)
		for _, s := range streams {
			inputs = append(inputs, s.Data)
		}
		return inputs, err
	}
	b, err := io.ReadAll(io.LimitReader(br, dumpLimit))
	if err == nil && !startsLikeAClient(b) {
		b, err = unhex(b, false)
	}
	return [][]byte{b}, err
}

// helloIn is the hello at the start of b, behind a PROXY header if there is one, in records.
func helloIn(b []byte) ([]byte, error) {
	var f finding
	n, err := f.readProxyHeader(b)
	if err != nil {
		return nil, err
	}
	b = b[n:]
	if len(b) > 4 && b[0] == 1 && len(b) < 1<<14 { // a handshake message without a record, as copied out of a decoder
		b = append(binary.BigEndian.AppendUint16([]byte{0x16, 3, 1}, uint16(len(b))), b...)
	}
	var h peek.Hello
	var p peek.Parser
	if err := p.Parse(b, &h); err != nil {
		return nil, err
	}
	return b[:p.Consumed()], nil
}

// namesIn are the host names in a file, one in each line; empty lines and those that start with # are left out.
func namesIn(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if name := strings.TrimSpace(line); name != "" && name[0] != '#' {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%s: no names in it", path)
	}
	return strings.Join(names, ","), nil
}
