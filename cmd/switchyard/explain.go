package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/route"
)

// question is what explain is asked, as written.
type question struct {
	sni, client, listener string
	alpn                  []string
}

func newExplain() *cobra.Command {
	var config configFlag
	var out outputFlag
	var q question
	cmd := &cobra.Command{
		Use:   "explain [FILE] --sni NAME",
		Short: "Say where a connection would go, and why",
		Long: `Decide as the balancer would for a client that sends this server name, these
application protocols, from this address, to this listener; and print every route that
was tried on the way, in that order, with what it lacked.

Where TLS ends here, what of this has the client refused is said, too: a name with a dot
at its end, or application protocols none of which the route's terminate has.

Without --sni the client sends no server name. Without --client its address is unknown,
and routes with a condition on it do not match. Without --listener it is the first one.`,
		Example: `  switchyard explain --sni api.example.com --alpn acme-tls/1
  switchyard explain -c switchyard.yaml --sni db-7.example.net --client 10.1.2.3 -o json | jq .pool`,
		RunE: func(cmd *cobra.Command, args []string) error {
			asJSON, err := out.json()
			if err != nil {
				return err
			}
			path, cfg, err := config.load(args)
			if err != nil {
				return q.mistaken(args, err)
			}
			query, err := q.parse(&cfg.Balancer)
			if err != nil {
				return err
			}
			if n := len(cfg.Balancer.Listeners); q.listener == "" && n > 1 {
				fmt.Fprintf(cmd.ErrOrStderr(), "switchyard: note: %d listeners; asked for %s\n", n, query.Listener)
			}
			table, err := route.NewTable(cfg.Balancer.RouteSet())
			if err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
			e := table.Snapshot().Explain(query)
			if asJSON {
				enc := json.NewEncoder(cmd.OutOrStdout())
				enc.SetIndent("", "  ")
				return enc.Encode(e)
			}
			return e.WriteText(cmd.OutOrStdout())
		},
	}
	config.add(cmd)
	out.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.sni, "sni", "", "server `NAME` that the client sends")
	flags.StringSliceVar(&q.alpn, "alpn", nil, "application `PROTOCOLS` that it offers, such as h2,http/1.1")
	flags.StringVar(&q.client, "client", "", "its `ADDRESS`, after any PROXY header")
	flags.StringVar(&q.listener, "listener", "", "`NAME` of the listener that it connects to")
	_ = cmd.RegisterFlagCompletionFunc("alpn", cobra.FixedCompletions([]string{"h2", "http/1.1", "acme-tls/1"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("listener", config.completeListeners)
	for _, name := range []string{"sni", "client"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions)
	}
	return cmd
}

// mistaken adds a hint to err for who has written the name where the file belongs.
func (q *question) mistaken(args []string, err error) error {
	if len(args) == 1 && q.sni == "" && !strings.HasSuffix(args[0], "ml") {
		if _, bad := route.ParseName(args[0]); bad == nil {
			return withHint(err, "the argument is the configuration file; a server name is given as --sni %s", args[0])
		}
	}
	return err
}

// parse makes a query of q, against the listeners of cfg.
func (q *question) parse(cfg *balancer.Config) (*route.Query, error) {
	query := &route.Query{Listener: q.listener}
	var err error
	if q.sni != "" {
		if query.Name, err = route.ParseName(q.sni); err != nil {
			return nil, usageError("a hello with such a name is malformed, and refused before it is routed", "--sni %q: %w", q.sni, err)
		}
		query.Dot = strings.HasSuffix(q.sni, ".")
	}
	if len(q.alpn) > 0 {
		query.ALPN = route.ProtocolList(q.alpn)
	}
	if query.Client, err = parseClient(q.client); err != nil {
		return nil, err
	}
	names := listenerNames(cfg)
	if q.listener == "" && len(names) > 0 {
		query.Listener = names[0]
	}
	if q.listener != "" && !slices.Contains(names, q.listener) {
		return nil, usageError("there are: "+strings.Join(names, ", "), "--listener: no listener %q", q.listener)
	}
	return query, nil
}

// parseClient takes an address, or one with a port as it stands in a log line.
func parseClient(s string) (netip.Addr, error) {
	if s == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(s)
	if err == nil {
		return addr.Unmap(), nil
	}
	if ap, bad := netip.ParseAddrPort(s); bad == nil {
		return ap.Addr().Unmap(), nil
	}
	return addr, usageError("an address, such as 192.0.2.7 or 2001:db8::7", "--client: %w", err)
}

func listenerNames(cfg *balancer.Config) []string {
	names := make([]string, len(cfg.Listeners))
	for i := range cfg.Listeners {
		names[i] = cfg.Listeners[i].Name
	}
	return names
}
