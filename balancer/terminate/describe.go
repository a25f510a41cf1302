package terminate

import (
	"crypto/tls"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/route"
)

// byDefault is what is said of what a route leaves to the defaults.
const byDefault = "default"

// Summary says in a line what p asks of clients: "TLS 1.2 to 1.3, ALPN h2 http/1.1, client certificate required".
func (p *Policy) Summary() string {
	versions := versionRange(p.cfg.MinVersion, p.cfg.MaxVersion)
	if p.cfg.MinVersion == tls.VersionTLS12 && (p.cfg.MaxVersion == 0 || p.cfg.MaxVersion == tls.VersionTLS13) {
		versions += " (" + byDefault + ")"
	}
	alpn := "no ALPN"
	if len(p.cfg.ALPN) > 0 {
		alpn = "ALPN " + strings.Join(p.cfg.ALPN, " ")
	}
	client := "no client certificate"
	if a := p.cfg.ClientAuth; a != nil && a.Require {
		client = "client certificate required"
	} else if a != nil {
		client = "client certificate optional"
	}
	return strings.Join([]string{versions, alpn, client}, ", ")
}

// Describe says how TLS is spoken with a client that asks for name: the policy, whose certificates clients may show, and each
// certificate that there is for the name.
func (p *Policy) Describe(name route.Name) []string {
	lines := append([]string{"policy " + p.ID() + ": " + p.Summary(), "ciphers: " + p.ciphers(), "curves: " + p.curves()}, p.clients()...)
	source, ok := p.cfg.Certificates.(interface {
		Choices(string) ([]*certs.Choice, error)
	})
	if !ok {
		return lines
	}
	choices, err := source.Choices(name.String())
	for _, c := range choices {
		is := "for " + strings.Join(c.Names, ", ")
		if c.Default {
			is = "the default, " + is
		}
		lines = append(lines, escaped(fmt.Sprintf("certificate %s: %s, %s, until %s", c.File, c.Key, is, c.NotAfter.UTC().Format(time.DateOnly))))
	}
	switch {
	case err == certs.ErrNone: //nolint:errorlint // and nothing that says more
		lines = append(lines, "no certificate for this name")
	case err != nil:
		lines = append(lines, escaped("no certificate: "+strings.ReplaceAll(strings.TrimPrefix(err.Error(), "certs: "), "\n", "; ")))
	}
	return lines
}

// mostListed is how many authorities, or lists of revoked certificates, are named.
const mostListed = 8

// clients are the authorities whose certificates clients may show, and the lists of what those have revoked, as they are in
// force; none where clients are not asked.
func (p *Policy) clients() (lines []string) {
	in := p.trust.Load()
	if in.terms.trusted == nil {
		return nil
	}
	for _, ca := range in.terms.trusted.all {
		lines = append(lines, escaped(fmt.Sprintf("client authority %.128s, until %s", ca.Subject, ca.NotAfter.UTC().Format(time.DateOnly))))
	}
	return append(cut(lines, "client authorities: %d more in %s", p.cfg.ClientAuth.CA),
		cut(in.lists.describe(), "client certificates revoked: %d more lists in %s", p.cfg.ClientAuth.CRL)...)
}

// cut leaves the first lines, and says how many more there are in a file.
func cut(lines []string, format, file string) []string {
	if more := len(lines) - mostListed; more > 0 {
		return append(lines[:mostListed], fmt.Sprintf(format, more, file))
	}
	return lines
}

// escaped is line without what a terminal would act on: names of certificates may be anybody's.
func escaped(line string) string {
	if !strings.ContainsFunc(line, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return line
	}
	return unquoted(strconv.Quote(line))
}

// ciphers are the suites of TLS 1.2 that are allowed, spelt as in the file.
func (p *Policy) ciphers() string {
	switch {
	case p.cfg.MinVersion >= tls.VersionTLS13:
		return "those of TLS 1.3, which cannot be chosen"
	case p.usualCiphers:
		return byDefault
	}
	return joined(p.cfg.CipherSuites, tls.CipherSuiteName)
}

// curves are the key exchange groups that are allowed, spelt as in the file.
func (p *Policy) curves() string {
	if len(p.cfg.Curves) == 0 {
		return byDefault
	}
	return joined(p.cfg.Curves, groupName)
}

// joined lists codes by their names.
func joined[T ~uint16](codes []T, name func(T) string) string {
	names := make([]string, len(codes))
	for i, c := range codes {
		names[i] = name(c)
	}
	return strings.Join(names, ", ")
}

func versionRange(low, high uint16) string {
	switch high {
	case 0:
		return tls.VersionName(low) + " or newer"
	case low:
		return tls.VersionName(low)
	}
	return tls.VersionName(low) + " to " + strings.TrimPrefix(tls.VersionName(high), "TLS ")
}
