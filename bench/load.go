package bench

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// Mode is what a connection of the load does.
type Mode string

// The modes. Each connection starts with a real ClientHello for one of the names.
const (
	// ModeHello connects, sends a hello, takes the first 64 bytes of the answer and closes: what a balancer itself costs.
	ModeHello Mode = "hello"
	// ModeHandshake completes a TLS handshake with crypto/tls, takes the answer inside it and closes.
	ModeHandshake Mode = "handshake"
	// ModeRoundTrip keeps Workers connections and sends messages of Bytes to and fro on each.
	ModeRoundTrip Mode = "roundtrip"
	// ModeDownload has Workers connections at a time take Bytes each from the backend.
	ModeDownload Mode = "download"
	// ModeUpload has Workers connections at a time send Bytes each to the backend.
	ModeUpload Mode = "upload"
	// ModeIdle opens Workers connections and holds them.
	ModeIdle Mode = "idle"
)

// LoadConfig says what load to make. Targets and Mode must be set; the rest has useful zero values.
type LoadConfig struct {
	Mode Mode `json:"mode"`
	// Targets is the balancer's address; or, to measure without one, the backend's address for each pool.
	Targets []netip.AddrPort `json:"targets"`
	// Names is one host name, or a pattern such as "host-{0..999}.example.com". Empty means that pattern.
	Names string `json:"names,omitempty"`
	// Zipf above 1 draws names by Zipf's law with that exponent, the first the most often; otherwise all are alike.
	Zipf float64 `json:"zipf,omitempty"`
	// Pools above 1 expects name i in the pool i modulo Pools of our reference backend, and counts other answers as
	// misrouted. 0 and 1 expect nothing.
	Pools int `json:"pools,omitempty"`
	// Rate is how many connections start in a second, whether or not earlier ones have been answered (an open loop).
	// 0 is a closed loop: Workers connections at a time, each started when another ends.
	Rate float64 `json:"rate,omitempty"`
	// Workers is how many connections there are at a time. With a Rate it is the most there may be: an arrival
	// beyond it fails as "overflow". 0 means 64, and 8 000 with a Rate.
	Workers int `json:"workers,omitempty"`
	// Count ends the load after so many connections, Duration after so long; the first to be reached. Both 0: 10 s.
	// ModeIdle counts Duration from when it holds its connections, and without one holds them until ctx is done.
	Count    int           `json:"count,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"`
	// WarmUp is the time that the same load runs first without being counted.
	WarmUp time.Duration `json:"warm_up_ns,omitempty"`
	// Bytes is the size of a message of ModeRoundTrip (0 means 100) and of a transfer of ModeDownload and ModeUpload
	// (0 means 256 MiB).
	Bytes int64 `json:"bytes,omitempty"`
	// Timeout is how long a connection may take to its answer, and any one message after it. 0 means 10 s.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
	// Sources is how many loopback addresses, from 127.0.0.2 on, the connections come from, if the target is one too.
	// Each has a port range of its own. 0 means 16.
	Sources int `json:"sources,omitempty"`
	// Seed makes two runs choose the same names. 0 is a seed like any other.
	Seed uint64 `json:"seed,omitempty"`
	// Hold is called by ModeIdle once when every connection is held or has failed; the load ends when it returns.
	Hold func(held int) `json:"-"`
}

// messageLimit is what a message of ModeRoundTrip may have: it is sent whole before the echo is read, so both must fit
// the socket buffers of the way.
const messageLimit = 16 << 10

// withDefaults is cfg with its zero values filled in, and checked.
func (cfg LoadConfig) withDefaults() (LoadConfig, error) {
	if len(cfg.Targets) == 0 {
		return cfg, fmt.Errorf("no target")
	}
	if cfg.Names == "" {
		cfg.Names = DefaultNames(1000)
	}
	switch cfg.Mode {
	case ModeHello, ModeHandshake, ModeIdle:
	case ModeRoundTrip:
		setDefault(&cfg.Bytes, 100)
		if cfg.Bytes > messageLimit {
			return cfg, fmt.Errorf("a message of %d bytes to and fro: at most %d, or the two ends wait for each other", cfg.Bytes, messageLimit)
		}
	case ModeDownload, ModeUpload:
		setDefault(&cfg.Bytes, 256<<20)
	default:
		return cfg, fmt.Errorf("unknown mode %q", cfg.Mode)
	}
	if cfg.Rate > 0 {
		if cfg.Mode != ModeHello && cfg.Mode != ModeHandshake {
			return cfg, fmt.Errorf("mode %s keeps its connections and has no rate", cfg.Mode)
		}
		setDefault(&cfg.Workers, 8000)
	}
	if cfg.Count == 0 && cfg.Mode != ModeIdle {
		setDefault(&cfg.Duration, 10*time.Second)
	}
	setDefault(&cfg.Workers, 64)
	setDefault(&cfg.Timeout, 10*time.Second)
	setDefault(&cfg.Sources, 16)
	return cfg, nil
}

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// DefaultNames is the pattern of n names that the comparison puts into every balancer's table.
func DefaultNames(n int) string {
	if n == 1 {
		return "host-0.example.com"
	}
	return fmt.Sprintf("host-{0..%d}.example.com", n-1)
}

// order is what the hellos of this load tell the reference backend to do.
func (cfg LoadConfig) order() wire.Order {
	switch cfg.Mode {
	case ModeRoundTrip:
		return wire.Order{Op: wire.OpEcho}
	case ModeDownload:
		return wire.Order{Op: wire.OpSend, Size: cfg.Bytes}
	case ModeUpload:
		return wire.Order{Op: wire.OpSink, Size: cfg.Bytes}
	default:
		return wire.Order{}
	}
}

// RunLoad makes the load and reports what became of every connection that it started. When ctx ends early, the report
// covers what was done until then, and the error is nil: connections that were cut short count as failures of kind
// "canceled".
func RunLoad(ctx context.Context, cfg LoadConfig) (*LoadReport, error) {
	cfg, err := cfg.withDefaults()
	if err == nil {
		err = checkLimits(cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("bench: load: %w", err)
	}
	run := runLoop
	if cfg.Mode == ModeHandshake {
		run = runHandshakes
	}
	if cfg.WarmUp > 0 {
		warm := cfg
		warm.Count, warm.Duration, warm.Hold = 0, cfg.WarmUp, nil
		if _, err := run(ctx, warm); err != nil {
			return nil, fmt.Errorf("bench: warm-up: %w", err)
		}
	}
	report, err := run(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("bench: load: %w", err)
	}
	return report, nil
}
