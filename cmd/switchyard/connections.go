package main

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
)

// connectionQuery says which connections are meant.
type connectionQuery struct {
	id, sni, client, pool, backend, route, listener string

	minAge time.Duration
	limit  int
	kill   bool
}

func newConnections() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	var q connectionQuery
	cmd := &cobra.Command{
		Use:   "connections",
		Short: "List the connections that are open, or close some",
		Long: `List the connections that are open now, the oldest first. What all of the given flags
say has to hold. With --kill they are closed instead; that wants at least one of the
flags that choose.`,
		Example: `  switchyard connections --pool web --min-age 1h
  switchyard connections --client 192.0.2.0/24 --kill`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if q.kill {
				return q.killThem(cmd, &socket, &out)
			}
			return q.list(cmd, &socket, &out)
		},
	}
	socket.add(cmd)
	out.add(cmd)
	q.add(cmd)
	for name, names := range map[string]namer{"pool": poolNames, "backend": backendNames, "route": routeNames, "listener": listenerStatusNames} {
		_ = cmd.RegisterFlagCompletionFunc(name, socket.complete(names))
	}
	for _, name := range []string{"id", "sni", "client", "min-age", "limit"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

func (q *connectionQuery) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&q.id, "id", "", "only the one with this `ID`, as the list and the log have it")
	f.StringVar(&q.sni, "sni", "", "only those for the server `NAME`, or *.NAME for all below it")
	f.StringVar(&q.client, "client", "", "only those from `ADDRESS`, or from a network such as 10.0.0.0/8")
	f.StringVar(&q.pool, "pool", "", "only those in the pool `NAME`")
	f.StringVar(&q.backend, "backend", "", "only those to the backend `ADDRESS`")
	f.StringVar(&q.route, "route", "", "only those that the route `NAME` has decided")
	f.StringVar(&q.listener, "listener", "", "only those by the listener `NAME`")
	f.DurationVar(&q.minAge, "min-age", 0, "only those open for `DURATION` or longer")
	f.IntVar(&q.limit, "limit", 100, "list at most `N`, up to 10000")
	f.BoolVar(&q.kill, "kill", false, "close them")
}

// filter is what the API is asked for.
func (q *connectionQuery) filter() url.Values {
	v := filled(url.Values{}, map[string]string{
		"id": q.id, "sni": q.sni, "client": q.client, "pool": q.pool, "backend": q.backend, "route": q.route, "listener": q.listener,
	})
	if q.minAge != 0 {
		v.Set("min_age", q.minAge.String())
	}
	return v
}

func (q *connectionQuery) list(cmd *cobra.Command, socket *socketFlag, out *outputFlag) error {
	query := q.filter()
	query.Set("limit", strconv.Itoa(q.limit))
	return ask(cmd, socket, out, admin.Call{Path: admin.Path("connections"), Query: query}, func(w io.Writer, l *admin.ConnectionList) {
		printConnections(w, l)
		if n := len(l.Connections); n < l.Total {
			fmt.Fprintf(cmd.ErrOrStderr(), "switchyard: note: %d of %s; --limit lists more\n", n, count(l.Total, "connection"))
		}
	})
}

func (q *connectionQuery) killThem(cmd *cobra.Command, socket *socketFlag, out *outputFlag) error {
	query := q.filter()
	if len(query) == 0 {
		return usageError("for example --client 192.0.2.7", "--kill wants to know which connections")
	}
	return ask(cmd, socket, out, admin.Call{Method: "DELETE", Path: admin.Path("connections"), Query: query}, func(w io.Writer, k *admin.Killed) {
		fmt.Fprintf(w, "%s closed\n", count(k.Killed, "connection"))
	})
}

func printConnections(w io.Writer, l *admin.ConnectionList) {
	t := newColumns(w, "ID", "CLIENT", "NAME", "ROUTE", "POOL", "BACKEND", "STAGE", "AGE", "FROM CLIENT", "TO CLIENT")
	for i := range l.Connections {
		c := &l.Connections[i]
		t.row(c.ID, c.Client, named(c.SNI), orDash(c.Route), orDash(c.Pool), orDash(c.Backend), c.Stage,
			age(time.Duration(c.AgeSeconds*float64(time.Second))), admin.FormatBytes(c.BytesIn), admin.FormatBytes(c.BytesOut))
	}
	t.end()
}
