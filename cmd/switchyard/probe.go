package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/configs"
)

// probeTime is how long all checks together may take: longer than a check with the longest sensible timeout.
const probeTime = 30 * time.Second

// probeBackends checks the backends of a file once, and prints what came of it.
func probeBackends(cmd *cobra.Command, cfg *configs.Config) error {
	ctx, cancel := context.WithTimeout(cmd.Context(), probeTime)
	defer cancel()
	probed, overlaps, err := balancer.Probe(ctx, &cfg.Balancer)
	if err != nil {
		return err
	}
	if len(probed) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "no pool has a health check: nothing was probed")
		return nil
	}
	t := newColumns(cmd.OutOrStdout(), "POOL", "BACKEND", "RESULT", "CERTIFICATE ENDS")
	failed := 0
	for _, p := range probed {
		result, ends := "passed", "-"
		if p.Error != "" {
			result = p.Error
			failed++
		}
		if !p.NotAfter.IsZero() {
			ends = p.NotAfter.UTC().Format(time.DateOnly)
		}
		t.row(p.Pool, p.Backend, result, ends)
	}
	t.end()
	for _, o := range overlaps.First {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: listener %s: the certificate of pool %s is for %s, too: it covers %s, which route %s sends to pool %s\n",
			shown(o.Listener), shown(o.Pool), shown(o.Name), shown(o.Host), shown(o.OtherRoute), shown(o.OtherPool))
	}
	if more := overlaps.Total - len(overlaps.First); more > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: and %d more\n", more)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s failed", failed, count(len(probed), "backend"))
	}
	return nil
}
