package admin_test

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/seed-23b4a313/switchyard/admin"
	"github.com/seed-23b4a313/switchyard/balancer"
)

// idle is a balancer that has not served anybody yet; a *balancer.Server is used in the same way.
type idle struct{}

func (idle) Stats() balancer.Stats { return balancer.Stats{Limit: 9900} }
func (idle) Ready() bool           { return true }

func ExampleServer() {
	s := admin.New(admin.Options{Version: "v1.0.0"})
	defer s.Close(context.Background())
	if err := s.ListenTCP("127.0.0.1:0"); err != nil {
		fmt.Println(err)
		return
	}
	get := func() {
		res, err := http.Get("http://" + s.Addr().String() + "/readyz")
		if err != nil {
			fmt.Println(err)
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		fmt.Printf("%d %s", res.StatusCode, body)
	}
	get()
	s.SetSource(idle{}) // the balancer has bound its listeners
	get()
	http.DefaultClient.CloseIdleConnections()
	// Output:
	// 503 starting
	// 200 ready
}
