package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-23b4a313/switchyard/peek"
)

// helloFinding is a hello in words.
type helloFinding struct {
	ServerName    *string    `json:"server_name"` // null: the client sent none
	ALPN          []string   `json:"alpn"`
	Versions      []string   `json:"versions"`
	CipherSuites  []string   `json:"cipher_suites"`
	Groups        []string   `json:"groups"`
	KeyShares     []keyShare `json:"key_shares"`
	Signatures    []string   `json:"signature_algorithms"`
	SessionTicket *int       `json:"session_ticket_bytes"` // null: no extension; 0: takes tickets, has none
	PSK           bool       `json:"psk"`
	EarlyData     bool       `json:"early_data"`
	ECH           string     `json:"ech"`
	JA4           string     `json:"ja4"`
	Bytes         int        `json:"bytes"`        // the handshake message
	StreamBytes   int        `json:"stream_bytes"` // with its records
	Following     int        `json:"following_bytes"`
}

// keyShare is one public key of the client.
type keyShare struct {
	Group string `json:"group"`
	Bytes int    `json:"bytes"`
}

// newHelloFinding copies out of h, which took consumed of the have bytes there are.
func newHelloFinding(h *peek.Hello, consumed, have int) *helloFinding {
	f := &helloFinding{
		ALPN: []string{}, KeyShares: []keyShare{},
		Versions:     names(h.Versions, versionName),
		CipherSuites: names(h.CipherSuites, suiteName),
		Groups:       names(h.Groups, groupName),
		Signatures:   names(h.SignatureAlgorithms, signatureName),
		PSK:          h.PSK, EarlyData: h.EarlyData, ECH: h.ECH.String(), JA4: h.JA4(),
		Bytes: len(h.Raw), StreamBytes: consumed, Following: have - consumed,
	}
	if h.ServerName != nil {
		name := string(h.ServerName)
		f.ServerName = &name
	}
	if h.Versions == nil { // a client before TLS 1.3 names the highest it knows
		f.Versions = []string{"up to " + versionName(h.Version)}
	}
	for proto := range h.ALPN.All() {
		f.ALPN = append(f.ALPN, printable(proto))
	}
	for group, key := range h.KeyShares.All() {
		f.KeyShares = append(f.KeyShares, keyShare{groupName(group), len(key)})
	}
	if h.SessionTicket != nil {
		n := len(h.SessionTicket)
		f.SessionTicket = &n
	}
	return f
}

func names(codes peek.Codes, name func(uint16) string) []string {
	list := []string{}
	for code := range codes.All() {
		list = append(list, name(code))
	}
	return list
}

// lines are the label and the value of each line that people read.
func (f *helloFinding) lines() [][2]string {
	var shares []string
	for _, s := range f.KeyShares {
		shares = append(shares, fmt.Sprintf("%s (%d bytes)", s.Group, s.Bytes))
	}
	name := "none"
	if f.ServerName != nil {
		name = *f.ServerName
	}
	return [][2]string{
		{"server name", name},
		{"alpn", orNone(f.ALPN)},
		{"versions", orNone(f.Versions)},
		{"groups", orNone(f.Groups)},
		{"key shares", orNone(shares)},
		{"cipher suites", orNone(f.CipherSuites)},
		{"signatures", orNone(f.Signatures)},
		{"session ticket", f.ticket()},
		{"psk", yesNo(f.PSK)},
		{"early data", yesNo(f.EarlyData)},
		{"ech", f.ECH},
		{"ja4", f.JA4},
		{"size", f.size()},
	}
}

func (f *helloFinding) ticket() string {
	switch {
	case f.SessionTicket == nil:
		return "none"
	case *f.SessionTicket == 0:
		return "takes one"
	}
	return fmt.Sprintf("%d bytes", *f.SessionTicket)
}

func (f *helloFinding) size() string {
	s := fmt.Sprintf("%d bytes", f.Bytes)
	if f.StreamBytes > f.Bytes {
		s += fmt.Sprintf(", %d with records", f.StreamBytes)
	}
	if f.Following > 0 {
		s += fmt.Sprintf(", %d bytes follow", f.Following)
	}
	return s
}

// orNone joins list, with a line break before what would go past the width of a page.
func orNone(list []string) string {
	if len(list) == 0 {
		return "none"
	}
	const width = 80
	var b strings.Builder
	column := 0
	for i, word := range list {
		switch {
		case i == 0:
		case column+len(word) > width:
			b.WriteString(",\n")
			column = 0
		default:
			b.WriteString(", ")
			column += 2
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// printable returns b as it is if a terminal can take it, and quoted otherwise: the client chose it.
func printable(b []byte) string {
	quoted := strconv.QuoteToASCII(string(b))
	if plain := quoted[1 : len(quoted)-1]; plain == string(b) && !strings.ContainsAny(plain, ", ") {
		return plain
	}
	return quoted
}
