package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
)

// routeQuery says which routes are wanted.
type routeQuery struct {
	name, host, pool string
	limit            int // 0: all
}

func newRoutes() *cobra.Command {
	var socket socketFlag
	var out outputFlag
	var q routeQuery
	cmd := &cobra.Command{
		Use:   "routes",
		Short: "List the routes that are in force",
		Long: `List the routes of the running balancer in file order, with those that were put at run
time. What all of the given flags say has to hold. explain says where one name goes.`,
		Example: `  switchyard routes --pool web
  switchyard routes --host example.com --limit 0 -o json | jq -r '.routes[].name'`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return q.list(cmd, &socket, &out)
		},
	}
	socket.add(cmd)
	out.add(cmd)
	f := cmd.Flags()
	f.StringVar(&q.name, "name", "", "only the route `NAME`, in which * stands for any text")
	f.StringVar(&q.host, "host", "", "only those with `TEXT` in one of their hosts")
	f.StringVar(&q.pool, "pool", "", "only those that send connections to the pool `NAME`")
	f.IntVar(&q.limit, "limit", 100, "list at most `N`; 0: all")
	_ = cmd.RegisterFlagCompletionFunc("name", socket.complete(routeNames))
	_ = cmd.RegisterFlagCompletionFunc("pool", socket.complete(poolNames))
	for _, name := range []string{"host", "limit"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

func (q *routeQuery) list(cmd *cobra.Command, socket *socketFlag, out *outputFlag) error {
	asJSON, err := out.json()
	if err == nil {
		err = checkLimit(q.limit)
	}
	if err != nil {
		return err
	}
	var list *admin.RouteList
	err = socket.talk(func(ctx context.Context, p *peer) error {
		list, err = q.fetch(ctx, p)
		return err
	})
	if err != nil {
		return err
	}
	if asJSON {
		return writeJSON(cmd.OutOrStdout(), list)
	}
	printRoutes(cmd.OutOrStdout(), list.Routes)
	if list.Next != "" {
		noteMore(cmd, len(list.Routes), list.Total, "route")
	}
	return nil
}

// routesPage is how many routes are asked for at a time: what the API gives at the most.
const routesPage = 10000

// fetch asks for all pages, and makes one of them.
func (q *routeQuery) fetch(ctx context.Context, p *peer) (*admin.RouteList, error) {
	all := &admin.RouteList{Routes: []admin.Route{}}
	err := pages(q.limit, routesPage, func(want int, after string) (int, string, error) {
		var page admin.RouteList
		_, err := p.get(ctx, admin.Call{Path: admin.Path("routes"), Query: q.values(want, after)}, &page)
		all.Routes, all.Total, all.Next = append(all.Routes, page.Routes...), page.Total, page.Next
		return len(page.Routes), page.Next, err
	})
	return all, err
}

func (q *routeQuery) values(limit int, after string) url.Values {
	return filled(url.Values{}, map[string]string{
		"name": q.name, "host": q.host, "pool": q.pool, "after": after, "limit": strconv.Itoa(limit),
	})
}

// filled adds to v what is not empty: the API takes no empty parameter.
func filled(v url.Values, parameters map[string]string) url.Values {
	for name, value := range parameters {
		if value != "" {
			v.Set(name, value)
		}
	}
	return v
}

func printRoutes(w io.Writer, routes []admin.Route) {
	t := newColumns(w, "ROUTE", "HOSTS", "CONDITIONS", "GOES TO", "FROM")
	for i := range routes {
		r := &routes[i]
		t.row(r.Name, some(r.Hosts, 3), cmp.Or(conditions(r), "-"), target(r), r.Origin)
	}
	t.end()
}

// conditions are what a route wants besides the host, in a few words.
func conditions(r *admin.Route) string {
	var parts []string
	if len(r.ALPN) > 0 {
		parts = append(parts, "alpn "+some(r.ALPN, 3))
	}
	if len(r.Clients) > 0 {
		clients := make([]string, len(r.Clients))
		for i, c := range r.Clients {
			clients[i] = c.String()
		}
		parts = append(parts, "clients "+some(clients, 3))
	}
	if len(r.Listeners) > 0 {
		parts = append(parts, "listeners "+some(r.Listeners, 3))
	}
	return strings.Join(parts, "; ")
}

// target is where a route sends a connection, in a few words.
func target(r *admin.Route) string {
	switch {
	case r.Reject != "":
		return "reject " + r.Reject
	case r.Terminates:
		return "terminate, then " + destination(r)
	}
	return destination(r)
}

// destination is the pool of a route, or the pools that share what it takes.
func destination(r *admin.Route) string {
	if r.Pool != "" {
		return "pool " + r.Pool
	}
	shares := make([]string, len(r.Split))
	for i, s := range r.Split {
		shares[i] = fmt.Sprintf("%s %d", s.Pool, s.Weight)
	}
	return "split " + some(shares, 4)
}
