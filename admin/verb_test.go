package admin

import (
	"bufio"
	"context"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/control"
)

// slowControl is a control plane whose reload takes its time.
type slowControl struct {
	*fakeControl
	takes time.Duration
}

func (c *slowControl) Reload(ctx context.Context, _ control.ReloadRequest) (*control.Result, error) {
	select {
	case <-time.After(c.takes):
		return &control.Result{Revision: 2, Changed: true, Summary: "1 route added"}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// fakeBalancer is one that only exists.
type fakeBalancer struct {
	Balancer
	*fakeSource
}

func (f *fakeBalancer) Stats() balancer.Stats { return f.fakeSource.Stats() }
func (f *fakeBalancer) Ready() bool           { return f.fakeSource.Ready() }

// A reload may take longer than an answer may take to be written; but not for ever.
func TestSlowVerbsHaveRoom(t *testing.T) {
	for _, c := range []struct {
		name  string
		takes time.Duration
		want  string
		after time.Duration
	}{
		{"longer than any page", writeTimeout + 10*time.Second, "HTTP/1.1 200 ", writeTimeout + 10*time.Second},
		{"too long", 10 * time.Minute, "HTTP/1.1 503 ", verbTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := New(Options{})
				s.SetControl(&fakeBalancer{fakeSource: busy()}, &slowControl{changed(), c.takes})
				l := newPipeListener()
				if err := s.serve(newGate(l, nil, s.log), s.unix); err != nil {
					t.Fatal(err)
				}
				conn := l.dial()
				start := time.Now()
				_, _ = io.WriteString(conn, "POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
				line, err := bufio.NewReader(conn).ReadString('\n')
				if !strings.HasPrefix(line, c.want) || time.Since(start) != c.after {
					t.Errorf("after %v: %q, %v, want %q after %v", time.Since(start), line, err, c.want, c.after)
				}
				conn.Close()
				if err := s.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
