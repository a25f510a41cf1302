package acme

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// However many connect to where http-01 is answered, few are held, and whoever asks at once is answered: what is held is taken
// from the descriptors of the process.
func TestFewAreHeldWhereHTTP01IsAnswered(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	free.Close()
	s := httpSolver{netip.MustParseAddrPort(addr)}
	c := acme.Challenge{Type: acme.ChallengeTypeHTTP01, Token: "token", KeyAuthorization: "token.thumbprint"}
	if err := s.Present(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	defer s.CleanUp(t.Context(), c)
	const many = 5 * mostHeld
	ended := make(chan struct{}, many)
	for range many {
		silent, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer silent.Close()
		go func() {
			io.Copy(io.Discard, silent)
			ended <- struct{}{}
		}()
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get("http://" + addr + c.HTTP01ResourcePath())
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if b, err := io.ReadAll(answer.Body); err != nil || string(b) != c.KeyAuthorization {
		t.Errorf("the answer is %q, %v", b, err)
	}
	late := time.After(requestTime / 2)
	for i := range many - mostHeld {
		select {
		case <-ended:
		case <-late:
			t.Fatalf("%d of %d are held", many-i, many)
		}
	}
}
