package bench

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// LoadConfig says what load to make. Targets and Mode must be set; the rest has useful zero values.
type LoadConfig struct {
	Mode Mode `json:"mode"`
	// Targets is the balancer's address; or, to measure without one, the backend's address for each pool.
	Targets []netip.AddrPort `json:"targets"`
	// Names has host names and patterns such as "host-{0..999}.example.com", with commas between them. Empty means that
	// pattern.
	Names string `json:"names,omitempty"`
	// Zipf above 1 draws names by Zipf's law with that exponent, the first the most often. 0: all are alike.
	Zipf float64 `json:"zipf,omitempty"`
	// Pools above 1 expects name i in the pool i modulo Pools of our reference backend, and counts other answers as
	// misrouted. 0 and 1 expect nothing.
	Pools int `json:"pools,omitempty"`
	// AnyServer is for a TLS server that is not our reference backend. A hello is answered by the first bytes of
	// anything but an alert, and a handshake is done when it is complete. Only ModeHello, ModeHandshake, ModeResume and
	// ModeIdle can do with that.
	AnyServer bool `json:"any_server,omitempty"`

	// TLSVersion is the only version that the hellos offer, tls.VersionTLS12 or tls.VersionTLS13, and Group the only key
	// exchange. 0 offers what crypto/tls does: both versions, X25519MLKEM768 before X25519.
	TLSVersion uint16      `json:"tls_version,omitempty"`
	Group      tls.CurveID `json:"group,omitempty"`
	// Replay has recorded hellos, sent as they are in place of built ones and drawn as names are. What comes after the
	// hello in each is left out. For ModeHello and ModeIdle only: a recorded hello carries no order to the backend.
	Replay [][]byte `json:"replay,omitempty"`
	// RecordBytes above 0 divides each hello into TLS records with so many bytes of it, SegmentBytes into as many
	// writes, each a segment of TCP if SegmentGap, the pause between two, is long enough for it.
	RecordBytes  int           `json:"record_bytes,omitempty"`
	SegmentBytes int           `json:"segment_bytes,omitempty"`
	SegmentGap   time.Duration `json:"segment_gap_ns,omitempty"`

	// Rate is how many connections start in a second, whether or not earlier ones have been answered (an open loop); of
	// ModeRoundTrip how many messages are due in a second, on all connections together. 0 is a closed loop: Workers
	// connections at a time, each started when another ends.
	Rate float64 `json:"rate,omitempty"`
	// Workers is how many connections there are at a time. With a Rate of connections it is the most there may be: an
	// arrival beyond it fails as "overflow". 0 means 64, 4 of the bulk modes, and 8 000 with a Rate of connections.
	Workers int `json:"workers,omitempty"`
	// Count ends the load after so many connections, Duration after so long; the first to be reached. Both 0: 10 s.
	// ModeIdle counts Duration from when it holds its connections, and without one holds them until ctx is done.
	Count    int           `json:"count,omitempty"`
	Duration time.Duration `json:"duration_ns,omitempty"`
	// WarmUp is the time that the same load runs first without being counted.
	WarmUp time.Duration `json:"warm_up_ns,omitempty"`
	// Bytes is the size of a message of ModeRoundTrip (0 means 100) and of a transfer of the bulk modes (0 means 256 MiB).
	Bytes int64 `json:"bytes,omitempty"`
	// Mix has the share of each kind of connection in ModeChurn. Empty means [DefaultMix].
	Mix map[string]int `json:"mix,omitempty"`
	// Timeout is how long a connection may take to its answer, and any one message after it. 0 means 10 s.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
	// Sources is how many loopback addresses, from 127.0.0.2 on, the connections come from, if the target is one too.
	// Each has a port range of its own. 0 means 16.
	Sources int `json:"sources,omitempty"`
	// Seed makes two runs choose the same names. 0 is a seed like any other.
	Seed uint64 `json:"seed,omitempty"`
	// PID is a process of this machine, the balancer say, whose cost is to be in the report: its processor time and
	// memory and those of its descendants. 0: none.
	PID int `json:"pid,omitempty"`

	// Hold is called by ModeIdle once when every connection is held or has failed; the load ends when it returns.
	Hold func(held int) `json:"-"`
	// Progress, where set, gets a line each second, on a goroutine of the load.
	Progress func(string) `json:"-"`
}

// messageLimit is what a message of ModeRoundTrip may have: it is sent whole before the echo is read, so both must fit
// the socket buffers of the way.
const messageLimit = 16 << 10

// withDefaults is cfg with its zero values filled in, and checked.
func (cfg LoadConfig) withDefaults() (LoadConfig, error) {
	if err := errors.Join(cfg.checkTarget(), cfg.checkHellos()); err != nil {
		return cfg, err
	}
	setDefault(&cfg.Names, DefaultNames(1000))
	switch {
	case cfg.Mode == ModeRoundTrip:
		setDefault(&cfg.Bytes, 100)
	case cfg.Mode.bulk():
		setDefault(&cfg.Bytes, 256<<20)
		setDefault(&cfg.Workers, bulkConnections)
	case cfg.Mode == ModeChurn && len(cfg.Mix) == 0:
		cfg.Mix = DefaultMix()
	}
	if cfg.arrivals() {
		setDefault(&cfg.Workers, 8000)
	}
	if cfg.Count == 0 && cfg.Mode != ModeIdle {
		setDefault(&cfg.Duration, 10*time.Second)
	}
	setDefault(&cfg.Workers, 64)
	setDefault(&cfg.Timeout, 10*time.Second)
	setDefault(&cfg.Sources, 16)
	return cfg, cfg.checkShape()
}

// arrivals reports whether connections arrive at a rate. In ModeRoundTrip messages do.
func (cfg *LoadConfig) arrivals() bool { return cfg.Rate > 0 && cfg.Mode != ModeRoundTrip }

func setDefault[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

func (cfg *LoadConfig) checkTarget() error {
	switch {
	case len(cfg.Targets) == 0:
		return errors.New("no target")
	case !knownMode(cfg.Mode):
		return fmt.Errorf("unknown mode %q", cfg.Mode)
	case cfg.AnyServer && !cfg.Mode.real() && !cfg.Mode.plain():
		return fmt.Errorf("mode %s needs our reference backend", cfg.Mode)
	case cfg.AnyServer && cfg.Pools > 1:
		return errors.New("only our reference backend says which pool an answer is from")
	}
	return nil
}

func knownMode(m Mode) bool {
	for _, known := range Modes() {
		if m == known {
			return true
		}
	}
	return false
}

func (cfg *LoadConfig) checkHellos() error {
	switch {
	case len(cfg.Replay) > 0 && !cfg.Mode.plain():
		return fmt.Errorf("a recorded hello carries no order to the backend: mode %s has to build its own", cfg.Mode)
	case len(cfg.Replay) > 0 && cfg.Pools > 1:
		return errors.New("recorded hellos have no numbered names to expect pools by")
	case cfg.TLSVersion != 0 && cfg.TLSVersion != tls.VersionTLS12 && cfg.TLSVersion != tls.VersionTLS13:
		return fmt.Errorf("version %s: want TLS 1.2 or TLS 1.3", tls.VersionName(cfg.TLSVersion))
	case cfg.TLSVersion == tls.VersionTLS12 && postQuantum(cfg.Group):
		return fmt.Errorf("%v is a key exchange of TLS 1.3 only", cfg.Group)
	case cfg.RecordBytes < 0 || cfg.SegmentBytes < 0 || cfg.SegmentGap < 0:
		return errors.New("a hello cannot be cut into less than nothing")
	case cfg.SegmentGap > 0 && cfg.SegmentBytes == 0:
		return errors.New("a pause between segments needs the size of a segment")
	case cfg.Zipf != 0 && cfg.Zipf <= 1:
		return fmt.Errorf("exponent %g of Zipf's law: want more than 1", cfg.Zipf)
	}
	return nil
}

func postQuantum(g tls.CurveID) bool {
	return g == tls.X25519MLKEM768 || g == tls.SecP256r1MLKEM768 || g == tls.SecP384r1MLKEM1024
}

func (cfg *LoadConfig) checkShape() error {
	switch {
	case cfg.Rate > 0 && !cfg.Mode.mayHaveRate():
		return fmt.Errorf("mode %s keeps its connections and has no rate", cfg.Mode)
	case cfg.Mode == ModeRoundTrip && cfg.Bytes > messageLimit:
		return fmt.Errorf("a message of %d bytes to and fro: at most %d, or the two ends wait for each other", cfg.Bytes, messageLimit)
	case cfg.Mode == ModeChurn:
		return checkMix(cfg.Mix)
	}
	return nil
}

// DefaultNames is the pattern of n names that the comparison puts into every balancer's table.
func DefaultNames(n int) string {
	if n == 1 {
		return "host-0.example.com"
	}
	return fmt.Sprintf("host-{0..%d}.example.com", n-1)
}

func (cfg *LoadConfig) spec() wire.Spec {
	return wire.Spec{Version: cfg.TLSVersion, Group: cfg.Group}
}

func (cfg *LoadConfig) cut() wire.Cut {
	return wire.Cut{Record: cfg.RecordBytes, Segment: cfg.SegmentBytes, Gap: cfg.SegmentGap}
}

// hellos are those of the load, built or recorded.
func (cfg *LoadConfig) hellos() (*wire.Hellos, error) {
	if len(cfg.Replay) > 0 {
		return wire.Replay(cfg.Replay, cfg.cut())
	}
	names, err := wire.ParseNames(cfg.Names)
	if err != nil {
		return nil, err
	}
	return wire.NewHellos(names, cfg.spec(), cfg.cut())
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
	if cfg.Mode.real() {
		run = runHandshakes
	}
	if cfg.WarmUp > 0 {
		warm := cfg
		warm.Count, warm.Duration, warm.Hold, warm.Progress = 0, cfg.WarmUp, nil, nil
		if _, err := run(ctx, warm); err != nil {
			return nil, fmt.Errorf("bench: warm-up: %w", err)
		}
	}
	report, err := watched(ctx, cfg, run)
	if err != nil {
		return nil, fmt.Errorf("bench: load: %w", err)
	}
	return report, nil
}
