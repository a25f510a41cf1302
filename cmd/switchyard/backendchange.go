package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/control"
)

// backendChange is what drain and ready say of a backend, in one pool or in all that have it.
type backendChange struct {
	address string
	pool    string // "": all
	state   string // "": as it is
	weight  *int   // nil: see reset
	reset   bool   // without a weight, that of the file is in force again

	asked int // what --weight was given
}

func (c *backendChange) add(cmd *cobra.Command, socket *socketFlag) {
	f := cmd.Flags()
	f.StringVar(&c.pool, "pool", "", "only in the pool `NAME`")
	f.IntVar(&c.asked, "weight", 0, "give it the weight `N` instead of the file's")
	_ = cmd.RegisterFlagCompletionFunc("pool", socket.complete(poolNames))
	_ = cmd.RegisterFlagCompletionFunc("weight", cobra.NoFileCompletions)
}

// maxWeight is the largest weight, as in the file.
const maxWeight = 65535

// takeWeight takes over --weight if it was given.
func (c *backendChange) takeWeight(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("weight") {
		return nil
	}
	if c.asked < 0 || c.asked > maxWeight {
		return usageError(fmt.Sprintf("it takes 0 to %d", maxWeight), "--weight: %d is out of range", c.asked)
	}
	c.weight = &c.asked
	return nil
}

// run makes the change in one transaction, prints for each pool how the backend stands, and does what comes after.
func (c *backendChange) run(cmd *cobra.Command, socket *socketFlag, out *outputFlag, after func(context.Context, *peer) error) error {
	asJSON, err := out.json()
	if err != nil {
		return err
	}
	return socket.talk(func(ctx context.Context, p *peer) error {
		pools, err := c.find(ctx, p)
		if err != nil {
			return err
		}
		raw, err := c.send(ctx, p, pools)
		if err != nil {
			return err
		}
		if asJSON {
			_, err = cmd.OutOrStdout().Write(raw)
		} else {
			err = c.print(ctx, p, cmd.OutOrStdout())
		}
		if err != nil {
			return err
		}
		return after(ctx, p)
	})
}

// find returns the pools that have the backend.
func (c *backendChange) find(ctx context.Context, p *peer) ([]admin.Pool, error) {
	var list admin.PoolList
	query := filled(url.Values{}, map[string]string{"name": c.pool, "backend": c.address})
	if _, err := p.get(ctx, admin.Call{Path: admin.Path("pools"), Query: query}, &list); err != nil {
		return nil, err
	}
	if len(list.Pools) > 0 {
		return list.Pools, nil
	}
	err := fmt.Errorf("no pool has a backend %s", shown(c.address))
	if c.pool != "" {
		err = fmt.Errorf("there is no pool %s with a backend %s", shown(c.pool), shown(c.address))
	}
	hint := "switchyard pools lists them"
	if !strings.Contains(c.address, ":") {
		hint = "an address has a port, such as " + c.address + ":443; " + hint
	}
	return nil, withHint(err, "%s", hint)
}

// send asks for the change in all of pools at once.
func (c *backendChange) send(ctx context.Context, p *peer, pools []admin.Pool) ([]byte, error) {
	var changes []any
	for i := range pools {
		said := map[string]any{"pool": pools[i].Name, "address": c.address}
		if c.state != "" {
			said["state"] = c.state
		}
		if c.weight != nil {
			said["weight"] = *c.weight
		} else if c.reset {
			said["weight"] = nil
		}
		changes = append(changes, map[string]any{"backend": said})
	}
	body, err := json.Marshal(map[string]any{"changes": changes})
	if err != nil {
		return nil, err
	}
	return p.get(ctx, admin.Call{Method: "POST", Path: admin.Path("transaction"), Body: body}, new(control.Result))
}

// print says for each pool how the backend stands now.
func (c *backendChange) print(ctx context.Context, p *peer, w io.Writer) error {
	pools, err := c.find(ctx, p)
	if err != nil {
		return err
	}
	for i := range pools {
		pool := &pools[i]
		for _, m := range pool.Members {
			state := m.State
			if m.Up {
				state = "ready"
			}
			fmt.Fprintf(w, "pool %s: %s %s, weight %d, %s\n",
				shown(pool.Name), shown(m.Address), state, m.Weight, count(int(m.Active), "connection"))
		}
		if len(pool.Members) == 0 {
			fmt.Fprintf(w, "pool %s: %s has no address now; this holds for those to come\n", shown(pool.Name), shown(c.address))
		}
	}
	return nil
}

// held is how many connections the backend has in the pools concerned.
func (c *backendChange) held(ctx context.Context, p *peer) (n int64, err error) {
	pools, err := c.find(ctx, p)
	for i := range pools {
		for _, m := range pools[i].Members {
			n += m.Active
		}
	}
	return n, err
}
