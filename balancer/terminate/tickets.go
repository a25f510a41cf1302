package terminate

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// Tickets says how clients resume sessions (RFC 8446 §2.2, RFC 5077). The zero Tickets means: with keys of this process,
// that change every 12 hours.
type Tickets struct {
	Off    bool          // no session is resumed
	Rotate time.Duration // how long a key of this process makes tickets; 0: 12h. It is accepted twice as long again
	// Files hold keys that machines have in common: 48 or 80 random bytes each, as nginx has them, or the same in base64, a
	// key a line, as HAProxy has them. The first key of all makes tickets, every key is accepted. They are followed
	// without a reload. Empty: keys of this process.
	Files []string
}

// defaultRotate is how long a ticket key makes tickets, unless the operator says otherwise.
const defaultRotate = 12 * time.Hour

// keptKeys is how many keys of this process are accepted: the present one and the two before.
const keptKeys = 3

// processSecret is what the ticket keys of this process are derived from. It never leaves memory.
var processSecret = sync.OnceValue(func() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
})

// ticketRing keeps the ticket keys of one policy in its [tls.Config]. They are derived from a secret and the digest of the
// policy: under another policy, even with the same file, a ticket cannot be opened.
type ticketRing struct {
	digest [sha256.Size]byte
	rotate time.Duration
	files  []*watched[[]ticketKey]

	mu    sync.Mutex
	epoch int64       // of the keys that are set; 0: none are
	turns uint64      // how often the clock was set back by more than keys are kept
	given []ticketKey // of the keys that are set, out of files
}

// ticketKey is a key of a file as it stands there: 48 or 80 bytes.
type ticketKey string

// newTicketRing reads the files of keys. The ring makes keys once it is under a policy.
func newTicketRing(t *Tickets) (r *ticketRing, wrong FileErrors) {
	r = &ticketRing{rotate: t.Rotate}
	if r.rotate <= 0 {
		r.rotate = defaultRotate
	}
	for i, path := range t.Files {
		key := fmt.Sprintf("keys[%d]", i)
		w, err := watch(path, true, parseTicketKeys)
		if err != nil {
			wrong = append(wrong, fileError(path, err).of(key))
			continue
		}
		if w.warning != nil {
			w.warning.of(key)
		}
		r.files = append(r.files, w)
	}
	return r, wrong
}

// under is r for a policy, with no key set yet.
func (r *ticketRing) under(digest [sha256.Size]byte) *ticketRing {
	r.mu.Lock()
	defer r.mu.Unlock()
	return &ticketRing{digest: digest, rotate: r.rotate, files: r.files, turns: r.turns}
}

// refresh sets the keys that are right at now, if those that cfg has are not.
func (r *ticketRing) refresh(cfg *tls.Config, now time.Time, log *slog.Logger, aside aside) {
	if len(r.files) > 0 {
		r.follow(cfg, now, log, aside)
		return
	}
	epoch := now.UnixNano() / int64(r.rotate)
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case epoch <= r.epoch-keptKeys: // it had been wrong: to wait for that time would be to keep the present key until then
		r.turns++
	case epoch <= r.epoch: // a clock that is set back brings no old key back
		return
	}
	r.epoch = epoch
	keys := make([][32]byte, keptKeys)
	for i := range keys {
		var at [16]byte
		binary.BigEndian.PutUint64(at[:], uint64(epoch-int64(i)))
		binary.BigEndian.PutUint64(at[8:], r.turns)
		keys[i] = r.derive(slices.Concat(processSecret(), at[:]))
	}
	cfg.SetSessionTicketKeys(keys)
}

// follow sets the keys of the files if they have changed.
func (r *ticketRing) follow(cfg *tls.Config, now time.Time, log *slog.Logger, aside aside) {
	var all []ticketKey
	for _, f := range r.files {
		all = append(all, f.get(now, log, aside)...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Equal(all, r.given) {
		return
	}
	r.given = all
	keys := make([][32]byte, len(all))
	for i, k := range all {
		keys[i] = r.derive([]byte(k))
	}
	cfg.SetSessionTicketKeys(keys)
}

// derive makes the key of this policy out of a secret (RFC 5869).
func (r *ticketRing) derive(secret []byte) (key [32]byte) {
	k, err := hkdf.Key(sha256.New, secret, r.digest[:], "switchyard session tickets", len(key))
	if err != nil {
		panic("terminate: ticket keys: " + err.Error()) // only for keys longer than HKDF can make
	}
	copy(key[:], k)
	return key
}

// Sizes of a ticket key: a name of 16 bytes, then keys for HMAC and AES of 16 or 32 bytes each.
const (
	shortTicketKey = 48
	longTicketKey  = 80
)

// noTicketKeys says that a file has none, without what is there.
func noTicketKeys(data []byte) error {
	e := &certs.Error{Why: "neither 48 nor 80 bytes, nor lines of base64 that are", Hint: "make one: openssl rand 80 > FILE"}
	joined := bytes.Join(bytes.Fields(data), nil)
	defer clear(joined)
	if key, err := base64.StdEncoding.AppendDecode(nil, joined); err == nil && isTicketKey(key) {
		clear(key)
		e.Why = "it is one key in base64 on several lines: each line must be a key"
		e.Hint = "openssl rand wraps them; make one by openssl rand -base64 -A 80, or without base64: openssl rand 80 > FILE"
	}
	return e
}

// parseTicketKeys reads a file of keys: the bytes of one, or lines of base64.
func parseTicketKeys(_ string, data []byte) (keys []ticketKey, err error) {
	if isTicketKey(data) {
		return []ticketKey{ticketKey(data)}, nil
	}
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		key, err := base64.StdEncoding.AppendDecode(nil, line)
		if err != nil || !isTicketKey(key) {
			return nil, noTicketKeys(data)
		}
		keys = append(keys, ticketKey(key))
	}
	if len(keys) == 0 {
		return nil, noTicketKeys(data)
	}
	return keys, nil
}

func isTicketKey(b []byte) bool { return len(b) == shortTicketKey || len(b) == longTicketKey }
