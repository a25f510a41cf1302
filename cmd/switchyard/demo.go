package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/cmd/switchyard/internal/demo"
	"github.com/seed-23b4a313/switchyard/control"
)

// demoHosts are the services of the demo; demoUnknown is a name that none of them has.
var demoHosts = []string{"www.example.com", "api.example.com", "shop.example.net"}

const demoUnknown = "unknown.example.org"

// demoProbeTimeout bounds the whole self-check; on loopback it takes milliseconds.
const demoProbeTimeout = 20 * time.Second

func newDemo() *cobra.Command {
	var listen string
	var checkOnly, verbose bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Start three TLS services with the balancer in front, and check",
		Long: `Start three HTTPS services on loopback ports, each with a certificate of its own that
is made on the spot, and Switchyard in front of them on one address. Then connect to
each name through it, and print which certificate came back, and whether both ends of
the connection hold the same keys: they do only if nobody decrypted it on the way.

After that it stays, with curl commands to try, until Ctrl-C. Its files (the authority's
certificate and the configuration) are in a temporary directory that is removed then.
With --check it ends after the self-check; the exit status says how that went.`,
		Example: `  switchyard demo
  switchyard demo --listen 127.0.0.1:8443 --verbose`,
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, err := netip.ParseAddrPort(listen)
			if err != nil {
				return usageError("an address with a port, such as 127.0.0.1:8443; port 0 is any that is free", "--listen: %w", err)
			}
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelInfo
			}
			caught := catchSignals()
			defer caught.release()
			y, err := startYard(addr, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level})))
			if err != nil {
				return err
			}
			defer y.close()
			y.introduce(cmd.OutOrStdout())
			err = y.check(cmd.OutOrStdout())
			if checkOnly {
				y.service.stop(stopNow())
				return err
			}
			if invited := y.invite(cmd.OutOrStdout()); invited != nil {
				y.service.stop(stopNow()) // nobody reads what there is to try
				return invited
			}
			y.service.runUntil(caught)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&listen, "listen", "127.0.0.1:0", "`ADDRESS` of the balancer")
	flags.BoolVar(&checkOnly, "check", false, "end after the self-check")
	flags.BoolVarP(&verbose, "verbose", "v", false, "log every connection to standard error")
	_ = cmd.RegisterFlagCompletionFunc("listen", cobra.NoFileCompletions)
	return cmd
}

// yard is a running demo.
type yard struct {
	authority *demo.Authority
	backends  []*demo.Backend
	service   *service
	addr      netip.AddrPort // of the balancer
	dir       string         // temporary; removed by close
}

// startYard starts the services and the balancer. After an error nothing is left of it.
func startYard(listen netip.AddrPort, log *slog.Logger) (*yard, error) {
	y := &yard{}
	if err := y.start(listen, log); err != nil {
		y.close()
		return nil, err
	}
	return y, nil
}

func (y *yard) start(listen netip.AddrPort, log *slog.Logger) (err error) {
	if y.authority, err = demo.NewAuthority(); err != nil {
		return err
	}
	for _, host := range demoHosts {
		b, err := demo.NewBackend(y.authority, host)
		if err != nil {
			return err
		}
		y.backends = append(y.backends, b)
	}
	if y.dir, err = os.MkdirTemp("", "switchyard-demo-"); err != nil {
		return err
	}
	if err = y.writeFiles(listen); err != nil {
		return err
	}
	manager, err := control.Load(control.Options{Path: y.configPath(), Log: log})
	if err != nil {
		return err
	}
	if y.service, err = startService(&managed{Manager: manager, path: y.configPath(), log: log}); err != nil {
		return err
	}
	y.addr = y.service.balancer.Addrs("demo")[0]
	return nil
}

func (y *yard) configPath() string { return filepath.Join(y.dir, "switchyard.yaml") }
func (y *yard) caPath() string     { return filepath.Join(y.dir, "ca.pem") }

func (y *yard) writeFiles(listen netip.AddrPort) error {
	if err := os.WriteFile(y.caPath(), y.authority.PEM(), 0o644); err != nil {
		return err
	}
	return os.WriteFile(y.configPath(), []byte(y.config(listen)), 0o644)
}

// config is a whole configuration file, of the kind that one writes oneself.
func (y *yard) config(listen netip.AddrPort) string {
	var routes, pools strings.Builder
	for _, b := range y.backends {
		name, _, _ := strings.Cut(b.Host, ".")
		fmt.Fprintf(&routes, "  - name: %s\n    hosts: [%s]\n    pool: %s\n", name, b.Host, name)
		fmt.Fprintf(&pools, "  - name: %s\n    backends: [\"%s\"]\n", name, b.Addr)
	}
	return fmt.Sprintf(`# The configuration of switchyard demo.
admin:
  listen: 127.0.0.1:0
log:
  connections: true
drain:
  max: 1s
listeners:
  - name: demo
    bind: ["%s"]
    no_sni: {reject: alert}
    unknown_sni: {reject: alert}
routes:
%spools:
%s`, listen, routes.String(), pools.String())
}

// close ends what still runs and removes the files.
func (y *yard) close() {
	for _, b := range y.backends {
		b.Close()
	}
	if y.dir != "" {
		_ = os.RemoveAll(y.dir)
	}
}

func (y *yard) introduce(w io.Writer) {
	fmt.Fprintf(w, "%d TLS services, and Switchyard in front of them on %s\n\n", len(y.backends), y.addr)
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, b := range y.backends {
		fmt.Fprintf(tab, "  %s\tat %s\tcertificate %s\n", b.Host, b.Addr, short(b.Fingerprint))
	}
	_ = tab.Flush() // the writer below remembers its error
}

// check connects to every name through the balancer, and to one that it does not know.
func (y *yard) check(w io.Writer) error {
	ctx, cancel := context.WithTimeout(context.Background(), demoProbeTimeout)
	defer cancel()
	fmt.Fprint(w, "\nself-check, through the balancer\n\n")
	tab := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var all []error
	for _, b := range y.backends {
		r, err := demo.Probe(ctx, y.addr, b, y.authority.Pool())
		if err == nil && !r.Good() {
			err = fmt.Errorf("%s: %s", b.Host, verdict(r))
		}
		all = append(all, err)
		if r != nil {
			fmt.Fprintf(tab, "  %s\tgot certificate %s\t%s, %s\t%s\n", r.Host, short(r.Fingerprint), r.Version, r.Group, verdict(r))
		}
	}
	alert, err := demo.ProbeUnknown(ctx, y.addr, demoUnknown)
	all = append(all, err)
	if err == nil {
		fmt.Fprintf(tab, "  %s\tno certificate\trefused\talert %s\n", demoUnknown, alert)
	}
	_ = tab.Flush()
	if err := errors.Join(all...); err != nil {
		return fmt.Errorf("self-check: %w", err)
	}
	fmt.Fprintln(w, "\nok: each name got its own certificate, and both ends export the same keys, which only")
	fmt.Fprintln(w, "they can: the connections were carried and never decrypted on the way")
	return nil
}

func verdict(r *demo.Result) string {
	switch {
	case !r.Own:
		return "NOT ITS OWN CERTIFICATE"
	case !r.EndToEnd:
		return "THE TWO ENDS HOLD DIFFERENT KEYS"
	}
	return "its own, same keys at both ends"
}

// short is enough of a fingerprint to compare by eye.
func short(fingerprint string) string { return fingerprint[:16] + "…" }

// invite prints what to try. Its error may be that of an earlier write to w.
func (y *yard) invite(w io.Writer) error {
	fmt.Fprint(w, "\ntry\n\n")
	for _, b := range y.backends {
		fmt.Fprintf(w, "  curl --cacert %s --connect-to ::%s https://%s/\n", y.caPath(), y.addr, b.Host)
	}
	fmt.Fprintf(w, "  curl --cacert %s --connect-to ::%s https://%s/\n", y.caPath(), y.addr, demoUnknown)
	fmt.Fprintf(w, "  curl http://%s/metrics\n", y.service.admin.Addr())
	_, err := fmt.Fprintf(w, "\nThe configuration is %s\nCtrl-C ends it all and removes the files.\n", y.configPath())
	return err
}

// stopNow is a context that waits for nothing.
func stopNow() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
