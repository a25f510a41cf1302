package acme

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/zap"

	"github.com/seed-23b4a313/switchyard/balancer/certs"
)

// What is told of orders is what certmagic has told, and what is told of a name fits into a log line.
func TestOrdersAreCountedAndTrialsDescribed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{pause: time.Minute}
		tell := func(event, name string, renewal bool, err error) {
			t.Helper()
			if bad := l.event(t.Context(), event, map[string]any{"identifier": name, "renewal": renewal, "error": err}); bad != nil {
				t.Error(bad)
			}
		}
		is := func(want string) {
			t.Helper()
			err := error(l.pending("a.example.com"))
			if got := err.Error(); got != "certs: ACME has not obtained the certificate yet"+want || !errors.Is(err, certs.ErrNone) {
				t.Errorf("got  %s\nwant %s", got, want)
			}
			if n := len(strings.TrimPrefix(err.Error(), "certs: ")); n > 200 { // terminate cuts more off
				t.Errorf("%d bytes", n)
			}
		}
		is(": the process that orders it says more: switchyard certificates NAME")
		l.begin("a.example.com", failure{})
		start := time.Now()
		time.Sleep(time.Second)
		l.begin("a.example.com", failure{})
		is(" (tried since 2000-01-01T00:00:00Z)")

		problem := acme.Problem{Type: acme.ProblemTypeRateLimited, Status: 429, Detail: "too many certificates\nfor this “name” " + strings.Repeat("and so on ", 100)}
		err := &orderError{name: "a.example.com", err: fmt.Errorf("order: %w", problem)}
		tell("cert_obtaining", "a.example.com", false, nil)
		tell("cert_failed", "a.example.com", false, err)
		forwardTo(slog.New(slog.DiscardHandler), l.logged).Error("will retry", zap.Error(fmt.Errorf("[a.example.com] Obtain: %w", err)), zap.Duration("retrying_in", time.Minute))
		is(" (tried since 2000-01-01T00:00:00Z, again at 2000-01-01T00:01:01Z): rateLimited: too many certificates?for this ?name? and so on and so on and so on and so...")
		time.Sleep(time.Minute)
		tell("cert_obtaining", "a.example.com", false, nil)
		tell("cert_failed", "a.example.com", false, context.Canceled) // by a stop
		if o, want := l.stats(), (certs.Orders{Failed: 1, LastFailure: start.Add(time.Second)}); o != want {
			t.Errorf("after a failure %+v, want %+v", o, want)
		}
		forwardTo(slog.New(slog.DiscardHandler), l.logged).Error("job failed", zap.Error(errors.New("b.example.com: obtaining certificate: of a name that is not tried for")))
		if names := l.takeStopped(time.Now().Add(time.Hour)); names != nil {
			t.Errorf("%q are tried again, which goes on", names)
		}
		forwardTo(slog.New(slog.DiscardHandler), l.logged).Error("job failed", zap.Error(errors.New("a.example.com: obtaining certificate: failed storage check: no space left on device")))
		is(" (tried since 2000-01-01T00:00:00Z, again at 2000-01-01T00:02:01Z): failed storage check: no space left on device")
		if names := l.takeStopped(time.Now()); names != nil {
			t.Errorf("%q are tried again at once", names)
		}
		time.Sleep(time.Minute)
		if names := l.takeStopped(time.Now()); !slices.Equal(names, []string{"a.example.com"}) {
			t.Errorf("%q are tried again", names)
		}
		if names := l.takeStopped(time.Now()); names != nil {
			t.Errorf("%q are tried twice", names)
		}
		is(" (tried since 2000-01-01T00:00:00Z): failed storage check: no space left on device")
		forwardTo(slog.New(slog.DiscardHandler), l.logged).Error("job failed", zap.Error(errors.New("a.example.com: obtaining certificate: context canceled")))
		if names := l.takeStopped(time.Now().Add(time.Hour)); names != nil {
			t.Errorf("%q are tried again beside what the next start has begun", names)
		}
		tell("cert_obtained", "a.example.com", false, nil)
		tell("cert_obtained", "b.example.com", true, nil)
		tell("cached_managed_cert", "", false, nil)
		if o, want := l.stats(), (certs.Orders{Obtained: 1, Renewed: 1, Failed: 2, LastFailure: start.Add(61 * time.Second), LastSuccess: time.Now()}); o != want {
			t.Errorf("after successes %+v, want %+v", o, want)
		}
		is(" (tried since 2000-01-01T00:00:00Z)") // it is there in a moment
	})
}

// What went wrong stands at the end of an error, and is left there where it is told in short.
func TestTheCauseStaysInAShortError(t *testing.T) {
	for _, c := range []struct{ name, err, want string }{
		{"short enough", "order: connection refused", "order: connection refused"},
		{"a full disk", "obtaining certificate: failed storage check: write /var/lib/switchyard/acme/3364345800: no space left on device - storage is probably misconfigured",
			"failed storage check: write /var/lib/switchyard/acme/3364345800: no space left on device"},
		{"no permission", "obtaining certificate: failed storage check: failed to create temp file: open /srv/acme/3567919040: permission denied - storage is probably misconfigured",
			"failed storage check: failed ... file: open /srv/acme/3567919040: permission denied"},
		{"nobody there", `new account: provisioning client: performing request: Get "https://192.0.2.1/dir": dial tcp 192.0.2.1:443: connect: connection refused`,
			"new account: provisioning ... dial tcp 192.0.2.1:443: connect: connection refused"},
		{"one word", strings.Repeat("x", 200), strings.Repeat("x", 30) + " ... " + strings.Repeat("x", 55)},
	} {
		if got := short(errors.New(c.err)); got != c.want || len(got) > maxShort {
			t.Errorf("%s: %q\nwant %q", c.name, got, c.want)
		}
	}
	if got := short(nil); got != "" {
		t.Errorf("no error is %q", got)
	}
}
