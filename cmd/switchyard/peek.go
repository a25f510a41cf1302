package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/capture"
	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/hexdump"
)

// peekLimit is how much of a stream is looked at: a PROXY v2 header (64 KiB), a hello (64 KiB), and what records add.
const peekLimit = 256 << 10

// dumpLimit is how much text is read: peekLimit bytes at up to five characters each, and room for a margin.
const dumpLimit = 8 * peekLimit

var peekFormats = []string{"auto", "raw", "hex", "pcap"}

func newPeek() *cobra.Command {
	var out outputFlag
	var format string
	cmd := &cobra.Command{
		Use:   "peek [FILE|-]",
		Short: "Show what a ClientHello says",
		Long: `Read a ClientHello from FILE, or from standard input, and print what Switchyard sees
in it: the server name and ALPN it would route by, and what tells clients apart.

The input may be the raw bytes that a client sends, the same as hexadecimal text
(plain, xxd, hexdump -C, Wireshark, source code), or a packet capture (pcap, pcapng),
of which the start of each client's stream is shown. A PROXY protocol header in front
is skipped. With -o json there is one object per stream, each on its line.

What cannot be read is reported with the offset of the mistake, counted from the start
of the stream. The exit status is then 1, as it is if there is no hello at all.`,
		Example: `  # who asks for what on this machine, for ten seconds
  timeout 10 tcpdump -i any -w - 'tcp port 443' | switchyard peek

  # every hello in a capture, the names only
  switchyard peek -o json dump.pcapng | jq -r .hello.server_name`,
		Args: atMostOne("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			if !slices.Contains(peekFormats, format) {
				return usageError("it is auto, raw, hex or pcap", "unknown input format %q", format)
			}
			name, in, err := openInput(cmd, args)
			if err != nil {
				return err
			}
			defer in.Close()
			findings, err := find(in, format)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return show(cmd.OutOrStdout(), name, findings, asJSON)
		},
	}
	out.add(cmd)
	cmd.Flags().StringVarP(&format, "format", "f", "auto", "input `FORMAT`: auto, raw, hex or pcap")
	_ = cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(peekFormats, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// atMostOne refuses a second positional argument.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) <= 1 {
			return nil
		}
		return usageError(fmt.Sprintf("usage: %s", cmd.UseLine()), "%s takes one %s, got %d", cmd.CommandPath(), name, len(args))
	}
}

// openInput opens the file that args name. None and "-" are standard input.
func openInput(cmd *cobra.Command, args []string) (name string, in io.ReadCloser, err error) {
	if len(args) == 0 || args[0] == "-" {
		return "standard input", io.NopCloser(cmd.InOrStdin()), nil
	}
	f, err := os.Open(args[0])
	return args[0], f, err
}

// find looks at everything in r that may be a hello.
func find(r io.Reader, format string) ([]finding, error) {
	br := bufio.NewReader(r)
	head, err := br.Peek(16)
	if len(head) == 0 {
		if err == io.EOF {
			err = errors.New("the input is empty")
		}
		return nil, err
	}
	if format == "pcap" || format == "auto" && capture.Is(head) {
		streams, err := capture.Read(br, peekLimit)
		if err != nil {
			return nil, err
		}
		return lookAtStreams(streams), nil
	}
	b, err := io.ReadAll(io.LimitReader(br, dumpLimit))
	if err != nil {
		return nil, err
	}
	if format == "hex" || format == "auto" && !startsLikeAClient(b) {
		b, err = unhex(b, format == "hex")
	}
	if err != nil {
		return nil, err
	}
	return []finding{lookAt(b)}, nil
}

// unhex decodes text. What is not hex at all stays as it is unless it must be.
func unhex(text []byte, must bool) ([]byte, error) {
	b, err := hexdump.Decode(text)
	if errors.Is(err, hexdump.ErrNotHex) && !must {
		return text, nil
	}
	return b, err
}

// startsLikeAClient reports whether b begins as a TLS record, a ClientHello or a PROXY header does: not as text.
// ("PROXY " is text as well, and no hex.)
func startsLikeAClient(b []byte) bool {
	return b[0] == 0x16 || b[0] == 0x01 || bytes.HasPrefix(b, []byte("\r\n\r\n\x00")) || bytes.HasPrefix(b, []byte("PROXY "))
}

// show prints the findings. Its error says what keeps them from being all good.
func show(w io.Writer, name string, findings []finding, asJSON bool) error {
	bad, hellos := 0, 0
	for i := range findings {
		f := &findings[i]
		switch {
		case f.Hello != nil:
			hellos++
		case f.Trouble.Kind == kindMalformed:
			bad++
		}
		if err := f.print(w, i, asJSON); err != nil {
			return err
		}
	}
	switch {
	case len(findings) == 1 && hellos == 0:
		return findings[0].failure(name)
	case hellos == 0:
		return fmt.Errorf("%s: no ClientHello in %s", name, count(len(findings), "client stream"))
	case bad > 0:
		return fmt.Errorf("%s: %d of %s malformed", name, bad, count(len(findings), "client stream"))
	}
	return nil
}

func (f *finding) print(w io.Writer, i int, asJSON bool) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		return enc.Encode(f)
	}
	if f.Client != nil && i > 0 {
		fmt.Fprintln(w)
	}
	_, err := io.WriteString(w, f.text())
	return err
}

// count returns "1 thing" or "2 things".
func count(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
