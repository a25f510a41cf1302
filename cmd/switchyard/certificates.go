package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
)

// certificateQuery says which certificates are wanted, or which client is meant.
type certificateQuery struct {
	route, pool            string
	limit                  int // 0: all
	alpn, client, listener string
}

func newCertificates() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	var q certificateQuery
	cmd := &cobra.Command{
		Use:   "certificates [NAME]",
		Short: "List the certificates that are held, or tell which one a client is shown",
		Long: `List the certificates of routes that end TLS, and those that pools show to backends, with
the day on which they expire and whether the newest file was refused. Of a directory it is
how many certificates are in use, in memory that is, and the first of these to expire.

With NAME it is which of them a client is shown that asks for this server name, and if none,
why. --alpn, --client and --listener are as for explain.`,
		Example: `  switchyard certificates
  switchyard certificates www.example.com
  switchyard certificates --limit 0 -o json | jq '.certificates[] | select(.days_left < 14)'`,
		Args:              atMostOne("NAME"),
		ValidArgsFunction: socket.completeFirst(terminatedHosts),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return q.shown(cmd, &socket, &out, args[0])
			}
			return q.list(cmd, &socket, &out)
		},
	}
	socket.add(cmd)
	out.add(cmd)
	f := cmd.Flags()
	f.StringVar(&q.route, "route", "", "only those of the route `NAME`, in which * stands for any text")
	f.StringVar(&q.pool, "pool", "", "only those that the pool `NAME` shows to backends")
	f.IntVar(&q.limit, "limit", 100, "list at most `N`; 0: all")
	f.StringVar(&q.alpn, "alpn", "", "with NAME: application `PROTOCOLS` that the client offers, such as h2,http/1.1")
	f.StringVar(&q.client, "client", "", "with NAME: its `ADDRESS`")
	f.StringVar(&q.listener, "listener", "", "with NAME: `LISTENER` that it connects to, which is the first one otherwise")
	for name, names := range map[string]namer{"route": routeNames, "pool": poolNames, "listener": listenerStatusNames} {
		_ = cmd.RegisterFlagCompletionFunc(name, socket.complete(names))
	}
	for _, name := range []string{"alpn", "client", "limit"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

func (q *certificateQuery) list(cmd *cobra.Command, socket *socketFlag, out *outputFlag) error {
	asJSON, err := out.json()
	if err == nil {
		err = checkLimit(q.limit)
	}
	switch {
	case err != nil:
		return err
	case q.alpn+q.client+q.listener != "":
		return usageError("for example: switchyard certificates www.example.com --listener public",
			"--alpn, --client and --listener are about a client that asks for a NAME")
	}
	var list *admin.CertificateList
	err = socket.talk(func(ctx context.Context, p *peer) error {
		list, err = q.fetch(ctx, p)
		return err
	})
	switch {
	case err != nil:
		return err
	case asJSON:
		return writeJSON(cmd.OutOrStdout(), list)
	}
	printCertificates(cmd.OutOrStdout(), list.Certificates)
	switch {
	case list.Next != "":
		noteMore(cmd, len(list.Certificates), list.Total, "certificate")
	case list.Total == 0 && q.route+q.pool != "":
		fmt.Fprintln(cmd.ErrOrStderr(), "switchyard: note: nothing of that name has certificates; switchyard certificates lists all")
	case list.Total == 0:
		fmt.Fprintln(cmd.ErrOrStderr(), "switchyard: note: no route ends TLS here (terminate): clients are shown what the backends have")
	}
	return nil
}

// certificatesPage is how many certificates are asked for at a time: what the API gives at the most.
const certificatesPage = 1000

// fetch asks for all pages, and makes one of them.
func (q *certificateQuery) fetch(ctx context.Context, p *peer) (*admin.CertificateList, error) {
	all := &admin.CertificateList{Certificates: []admin.Certificate{}}
	err := pages(q.limit, certificatesPage, func(want int, after string) (int, string, error) {
		var page admin.CertificateList
		query := filled(url.Values{}, map[string]string{"route": q.route, "pool": q.pool, "after": after, "limit": strconv.Itoa(want)})
		_, err := p.get(ctx, admin.Call{Path: admin.Path("certificates"), Query: query}, &page)
		all.Certificates, all.Total, all.Next = append(all.Certificates, page.Certificates...), page.Total, page.Next
		return len(page.Certificates), page.Next, err
	})
	return all, err
}

// shown asks which certificate a client is shown.
func (q *certificateQuery) shown(cmd *cobra.Command, socket *socketFlag, out *outputFlag, name string) error {
	switch {
	case name == "":
		return usageError("leave it out to list all", "NAME is empty")
	case q.route+q.pool != "" || cmd.Flags().Changed("limit"):
		return usageError("leave NAME out to list them", "--route, --pool and --limit are about the list")
	}
	query := filled(url.Values{}, map[string]string{"sni": name, "alpn": q.alpn, "client": q.client, "listener": q.listener})
	return ask(cmd, socket, out, admin.Call{Path: admin.Path("certificates"), Query: query}, printShown)
}

func printCertificates(w io.Writer, list []admin.Certificate) {
	t := newColumns(w, "OF", "CERTIFICATE", "NAMES", "KEY", "ISSUER", "EXPIRES", "LEFT", "TAKEN", "NOTES")
	for i := range list {
		c := &list[i]
		of := "route " + c.Route
		if c.Pool != "" {
			of = "pool " + c.Pool
		}
		expires, taken := "-", "-"
		if c.NotAfter != nil {
			expires = c.NotAfter.Format(time.DateOnly)
		}
		if c.Taken != nil {
			taken = when(*c.Taken)
		}
		t.row(of, placeOf(c), orDash(namesOf(c)), orDash(c.Key), orDash(c.Issuer), expires, left(c), taken, orDash(notes(c)))
	}
	t.end()
}

// placeOf is where a certificate is, in a few words.
func placeOf(c *admin.Certificate) string {
	switch {
	case c.Host != "":
		return "ACME, " + c.Host
	case c.InUse != nil:
		return fmt.Sprintf("%s (directory, %d in use)", c.File, *c.InUse)
	}
	return c.File
}

func namesOf(c *admin.Certificate) string {
	const listed = 3
	text := some(c.Names[:min(len(c.Names), listed)], listed)
	if more := len(c.Names) + c.MoreNames - listed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// left is how long a certificate is good for.
func left(c *admin.Certificate) string {
	switch {
	case c.DaysLeft == nil:
		return "-"
	case *c.DaysLeft < 0:
		return "expired"
	}
	return count(*c.DaysLeft, "day")
}

// notes are what somebody may have to act on, and what tells a certificate from the others.
func notes(c *admin.Certificate) string {
	var all []string
	if c.Default {
		all = append(all, "default")
	}
	if c.Obtained != nil && !*c.Obtained {
		all = append(all, cmp.Or(c.Pending, "not obtained yet"))
	}
	for _, r := range c.Refused[:min(len(c.Refused), 1)] {
		what := "newest file not taken: "
		if c.InUse != nil {
			what = "not taken: " // there may be none before it
		}
		all = append(all, what+r.File+" "+r.Error)
	}
	if c.RefusedTotal > 1 {
		all = append(all, fmt.Sprintf("%d more like it", c.RefusedTotal-1))
	}
	return strings.Join(all, "; ")
}

// printShown tells which certificate clients are shown.
func printShown(w io.Writer, s *admin.Shown) {
	by := "no route"
	if s.Route != "" {
		by = "route " + shown(s.Route)
	}
	fmt.Fprintf(w, "%s: %s, %s\n", s.Name, by, s.Action)
	if s.Certificate == nil {
		for _, line := range []string{s.Why, hinted(s.Hint)} {
			if line != "" {
				fmt.Fprintf(w, "  %s\n", shown(line))
			}
		}
		return
	}
	t := newColumns(w)
	if s.RSA != nil && s.Certificate.File == s.RSA.File && s.Certificate.Key == s.RSA.Key {
		shownRow(t, "  every client", s.Certificate)
	} else {
		shownRow(t, "  clients in general", s.Certificate)
		shownRow(t, "  clients that know RSA alone", s.RSA)
	}
	t.end()
}

func hinted(hint string) string {
	if hint == "" {
		return ""
	}
	return "hint: " + hint
}

// shownRow is a line of printShown; without a certificate it is about RSA.
func shownRow(t *columns, who string, c *admin.Certificate) {
	if c == nil {
		t.row(who, "none: they are refused (no_common_cipher)")
		return
	}
	cells := []any{who, c.File, c.Key, "for " + namesOf(c), "until " + c.NotAfter.Format(time.DateOnly) + " (" + left(c) + ")"}
	if what := notes(c); what != "" {
		cells = append(cells, what)
	}
	t.row(cells...)
}
