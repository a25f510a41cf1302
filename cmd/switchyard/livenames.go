package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/route"
)

// Names that shells complete, out of the running balancer. Where it does not answer there are none, and nothing is said:
// whoever presses Tab has not asked for an error.

// namer asks for names.
type namer func(context.Context, *admin.Client) ([]string, error)

// completionTimeout is how long somebody who pressed Tab is kept waiting.
const completionTimeout = 2 * time.Second

// complete offers what names finds, for the value of a flag.
func (s *socketFlag) complete(names namer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
		p, err := s.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer p.Close()
		ctx, cancel := context.WithTimeout(context.Background(), completionTimeout)
		defer cancel()
		found, _ := names(ctx, p.Client) // an error means none
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFirst offers what names finds, for the only argument.
func (s *socketFlag) completeFirst(names namer) cobra.CompletionFunc {
	offer := s.complete(names)
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return offer(cmd, args, prefix)
	}
}

// routesOffered bounds how many routes a shell is given: it shows none of that many anyway.
const routesOffered = "1000"

func liveRoutes(ctx context.Context, c *admin.Client) ([]admin.Route, error) {
	var list admin.RouteList
	_, err := c.Do(ctx, admin.Call{Path: admin.Path("routes"), Query: url.Values{"limit": {routesOffered}}}, &list)
	return list.Routes, err
}

func routeNames(ctx context.Context, c *admin.Client) (names []string, err error) {
	routes, err := liveRoutes(ctx, c)
	for i := range routes {
		names = append(names, routes[i].Name)
	}
	return names, err
}

// terminatedHosts are the hosts whose TLS ends here, those that are no pattern.
func terminatedHosts(ctx context.Context, c *admin.Client) (names []string, err error) {
	routes, err := liveRoutes(ctx, c)
	for i := range routes {
		for _, host := range routes[i].Hosts {
			if _, wrong := route.ParseName(host); wrong == nil && routes[i].Terminates {
				names = append(names, host)
			}
		}
	}
	return names, err
}

func poolNames(ctx context.Context, c *admin.Client) (names []string, err error) {
	status, err := liveStatus(ctx, c)
	for i := range status.Pools {
		names = append(names, status.Pools[i].Name)
	}
	return names, err
}

func backendNames(ctx context.Context, c *admin.Client) (names []string, err error) {
	status, err := liveStatus(ctx, c)
	for i := range status.Pools {
		for _, b := range status.Pools[i].Backends {
			names = append(names, b.Address)
		}
	}
	return names, err
}

func listenerStatusNames(ctx context.Context, c *admin.Client) (names []string, err error) {
	status, err := liveStatus(ctx, c)
	for i := range status.Listeners {
		names = append(names, status.Listeners[i].Name)
	}
	return names, err
}

func revisionNumbers(ctx context.Context, c *admin.Client) (numbers []string, err error) {
	status, err := liveStatus(ctx, c)
	if status.Config == nil {
		return nil, err
	}
	for _, r := range status.Config.Revisions {
		if !r.Current {
			numbers = append(numbers, cobra.CompletionWithDesc(fmt.Sprint(r.Number), shown(r.Summary)))
		}
	}
	return numbers, err
}

func liveStatus(ctx context.Context, c *admin.Client) (*admin.Status, error) {
	status := &admin.Status{}
	_, err := c.Do(ctx, admin.Call{Path: admin.Path("status")}, status)
	return status, err
}
