package bench

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/seed-23b4a313/switchyard/bench/internal/wire"
)

// Mode is what a connection of the load does.
type Mode string

// The modes. Each connection starts with a real ClientHello for one of the names.
const (
	// ModeHello connects, sends a hello, takes the first 64 bytes of the answer and closes: what a balancer itself costs.
	ModeHello Mode = "hello"
	// ModeHandshake completes a full TLS handshake with crypto/tls, takes the answer inside it and closes.
	ModeHandshake Mode = "handshake"
	// ModeResume resumes a session in each handshake. The sessions come from full handshakes before the load, which are
	// not counted; a handshake that the backend did not resume fails as "not_resumed".
	ModeResume Mode = "resume"
	// ModeRoundTrip keeps Workers connections and sends messages of Bytes to and fro on each.
	ModeRoundTrip Mode = "roundtrip"
	// ModeDownload has Workers connections at a time take Bytes each from the backend.
	ModeDownload Mode = "download"
	// ModeUpload has Workers connections at a time send Bytes each to the backend.
	ModeUpload Mode = "upload"
	// ModeThroughput has every other connection download and the rest upload: bulk both ways at once.
	ModeThroughput Mode = "throughput"
	// ModeIdle opens Workers connections and holds them.
	ModeIdle Mode = "idle"
	// ModeChurn mixes connections that do different things, as Mix says.
	ModeChurn Mode = "churn"
)

// Modes are all of them.
func Modes() []Mode {
	return []Mode{ModeHello, ModeHandshake, ModeResume, ModeRoundTrip, ModeDownload, ModeUpload, ModeThroughput, ModeIdle, ModeChurn}
}

// real reports whether connections complete handshakes of crypto/tls.
func (m Mode) real() bool { return m == ModeHandshake || m == ModeResume }

// bulk reports whether what counts is bytes.
func (m Mode) bulk() bool { return m == ModeDownload || m == ModeUpload || m == ModeThroughput }

// mayHaveRate reports whether an open loop makes sense: of arrivals, or for ModeRoundTrip of messages.
func (m Mode) mayHaveRate() bool {
	return m.real() || m == ModeHello || m == ModeRoundTrip || m == ModeChurn
}

// plain reports whether a connection asks nothing of the backend but its answer, so that any hello will do.
func (m Mode) plain() bool { return m == ModeHello || m == ModeIdle }

// task is what one connection of the raw modes does after its answer.
type task struct {
	kind  Mode // never ModeThroughput or ModeChurn, which are made of the others
	bytes int64
	trips int           // of ModeRoundTrip; 0: until the load ends
	hold  time.Duration // of ModeIdle; 0: until the load ends
	abort bool          // of ModeHello: the client resets
}

// order is what the hello tells the reference backend to do.
func (t *task) order() wire.Order {
	switch t.kind {
	case ModeRoundTrip:
		return wire.Order{Op: wire.OpEcho}
	case ModeDownload:
		return wire.Order{Op: wire.OpSend, Size: t.bytes}
	case ModeUpload:
		return wire.Order{Op: wire.OpSink, Size: t.bytes}
	default:
		return wire.Order{}
	}
}

// What the connections of ModeChurn do beside a hello: at most so much of each, drawn evenly from one up.
const (
	churnTrips   = 16
	churnMessage = 100       // bytes
	churnBulk    = 256 << 10 // bytes
	churnHold    = 500 * time.Millisecond
)

// churn has what each kind of ModeChurn draws for a connection. "abort" takes its answer and resets.
var churn = map[string]func(*rand.Rand) task{
	"hello": func(*rand.Rand) task { return task{kind: ModeHello} },
	"abort": func(*rand.Rand) task { return task{kind: ModeHello, abort: true} },
	"roundtrip": func(r *rand.Rand) task {
		return task{kind: ModeRoundTrip, bytes: churnMessage, trips: 1 + r.IntN(churnTrips)}
	},
	"download": func(r *rand.Rand) task { return task{kind: ModeDownload, bytes: 1 + r.Int64N(churnBulk)} },
	"upload":   func(r *rand.Rand) task { return task{kind: ModeUpload, bytes: 1 + r.Int64N(churnBulk)} },
	"idle": func(r *rand.Rand) task {
		return task{kind: ModeIdle, hold: time.Duration(1 + r.Int64N(int64(churnHold)))}
	},
}

// DefaultMix is the share of each kind of connection in ModeChurn, in percent.
func DefaultMix() map[string]int {
	return map[string]int{"hello": 60, "roundtrip": 20, "download": 8, "upload": 4, "idle": 4, "abort": 4}
}

func checkMix(mix map[string]int) error {
	sum := 0
	for kind, share := range mix {
		if churn[kind] == nil {
			return fmt.Errorf("unknown kind %q in the mix: there are %s", kind, strings.Join(slices.Sorted(maps.Keys(churn)), ", "))
		}
		if share < 0 {
			return fmt.Errorf("share %d of %s in the mix: want 0 or more", share, kind)
		}
		sum += share
	}
	if sum == 0 {
		return fmt.Errorf("the mix is empty")
	}
	return nil
}

// tasks hands out the task of each connection. It is not safe for concurrent use.
type tasks struct {
	cfg    *LoadConfig
	random *rand.Rand
	kinds  []string // of the mix, sorted, so that a seed means the same in every run
	sum    int      // of the shares
	given  int
}

func newTasks(cfg *LoadConfig) *tasks {
	t := &tasks{cfg: cfg, random: rand.New(rand.NewPCG(cfg.Seed, 1)), kinds: slices.Sorted(maps.Keys(cfg.Mix))}
	for _, share := range cfg.Mix {
		t.sum += share
	}
	return t
}

func (t *tasks) next() task {
	t.given++
	switch mode := t.cfg.Mode; {
	case mode == ModeChurn:
		return t.draw()
	case mode == ModeThroughput && t.given%2 == 1:
		return task{kind: ModeDownload, bytes: t.cfg.Bytes}
	case mode == ModeThroughput:
		return task{kind: ModeUpload, bytes: t.cfg.Bytes}
	default:
		return task{kind: mode, bytes: t.cfg.Bytes}
	}
}

// draw takes a kind of the mix by its share.
func (t *tasks) draw() task {
	at := t.random.IntN(t.sum)
	for _, kind := range t.kinds {
		if at -= t.cfg.Mix[kind]; at < 0 {
			return churn[kind](t.random)
		}
	}
	return task{kind: ModeHello} // not reached: the shares add up to sum
}
