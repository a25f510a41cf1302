package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/bench"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(os.Args) > 2 && os.Args[2] == "child" {
		if err := bench.Child(ctx, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	var cfg bench.CompareConfig
	cases := flag.String("cases", "", "")
	only := flag.String("only", "", "")
	against := flag.String("against", "", "")
	sw := flag.String("switchyard", "/nonexistent", "")
	jsonOut := flag.String("json", "", "")
	flag.IntVar(&cfg.Rounds, "rounds", 3, "")
	flag.DurationVar(&cfg.Duration, "duration", 2*time.Second, "")
	flag.IntVar(&cfg.Workers, "workers", 0, "")
	flag.IntVar(&cfg.Idle, "idle", 0, "")
	flag.Int64Var(&cfg.Bulk, "bulk", 0, "")
	flag.BoolVar(&cfg.NoStrace, "no-strace", false, "")
	flag.Parse()
	list := func(s string) []string {
		if s == "" {
			return nil
		}
		return strings.Split(s, ",")
	}
	cfg.Cases, cfg.Only, cfg.Against = list(*cases), list(*only), list(*against)
	cfg.Binaries = map[string]string{"switchyard": *sw}
	cfg.Progress = func(s string) { fmt.Fprintln(os.Stderr, s) }
	r, err := bench.Compare(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	r.WriteText(os.Stdout)
	if *jsonOut != "" {
		f, _ := os.Create(*jsonOut)
		r.WriteJSON(f)
		f.Close()
	}
}
