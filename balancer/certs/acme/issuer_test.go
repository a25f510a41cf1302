package acme

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"
)

// A stop waits for no authority that does not answer: certmagic asks it when to renew, for each certificate, and a stop waits for
// that.
func TestAStopWaitsForNoAuthority(t *testing.T) {
	asked, over := make(chan struct{}), make(chan struct{})
	authority := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-over
	}))
	defer authority.Close()
	defer close(over)
	m, err := New(Config{Names: []string{"a.example.com"}, Directory: authority.URL, Storage: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	i := newIssuer(ctx, m, slog.New(slog.DiscardHandler))
	defer i.web.CloseIdleConnections()
	answered := make(chan error, 1)
	go func() {
		_, err := i.GetRenewalInfo(context.Background(), certmagic.Certificate{})
		answered <- err
	}()
	<-asked
	stop()
	select {
	case err := <-answered:
		if err == nil {
			t.Error("an answer came from nowhere")
		}
	case <-time.After(requestTimeout / 2):
		t.Error("the authority is still waited for")
	}
}
