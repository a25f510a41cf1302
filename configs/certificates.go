package configs

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
	"github.com/seed-23b4a313/switchyard/configs/internal/file"
)

// certificates opens what a route terminates with; nil if something is wrong with it.
func (c *checker) certificates(t *file.Terminate) *certs.Set {
	cfg := &certs.Config{}
	for i := range t.Certificates {
		p := &t.Certificates[i]
		if !p.Cert.IsSet() || !p.Key.IsSet() {
			return nil // missing or wrong, and said so
		}
		cfg.Pairs = append(cfg.Pairs, certs.PairFile{Cert: c.path(p.Cert.V), Key: c.path(p.Key.V)})
	}
	set, err := certs.Open(cfg)
	if wrong, ok := errors.AsType[certs.Errors](err); ok {
		for _, e := range wrong {
			c.certificateMistake(t, e, c.errorf)
		}
		return nil
	}
	for _, e := range set.Warnings() {
		c.certificateMistake(t, e, c.warnf)
	}
	return set
}

// certificateMistake says what is wrong with a file of certificates, called as it is written.
func (c *checker) certificateMistake(t *file.Terminate, e *certs.Error, say func(placed, string, string, ...any)) {
	at, key := t.Certificates[e.Index].Cert, "cert"
	if e.Part == certs.PartKey {
		at, key = t.Certificates[e.Index].Key, "key"
	}
	hint := strings.ReplaceAll(e.Hint, e.File, at.V)
	if errors.Is(e, fs.ErrNotExist) && e.File != at.V {
		hint = "relative paths start at " + c.dir
	}
	say(at, hint, "%s: %s %s", key, at.V, e.Why)
}
