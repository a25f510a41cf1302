package control_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-23b4a313/switchyard/balancer"
	"github.com/seed-23b4a313/switchyard/control"
)

func ExampleManager() {
	dir, err := os.MkdirTemp("", "switchyard-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "switchyard.yaml")
	err = os.WriteFile(path, []byte(`
listeners:
  - {name: public, bind: ["127.0.0.1:0"]}
routes:
  - {name: www, hosts: [www.example.com], pool: web}
pools:
  - {name: web, backends: ["127.0.0.1:9101"]}
`), 0o600)
	if err != nil {
		panic(err)
	}

	m, err := control.Load(control.Options{Path: path})
	if err != nil {
		panic(err)
	}
	defer m.Close()
	server, err := balancer.New(&m.Config().Balancer, balancer.Options{})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer server.Shutdown(ctx)
	defer cancel()
	m.Start(server)

	put := control.ChangeOptions{Origin: "PUT /v1/routes/api"}
	r, err := m.PutRoute(ctx, "api", []byte(`{hosts: [api.example.com], pool: web}`), put)
	fmt.Println(r.Revision, r.Summary, err)
	_, err = m.PutRoute(ctx, "api", []byte(`{hosts: [api.example.com], pool: wbe}`), put)
	fmt.Println(err)
	r, err = m.Rollback(ctx, 1, "POST /v1/rollback")
	fmt.Println(r.Revision, r.Summary, err)
	// Output:
	// 2 1 route added <nil>
	// PUT /v1/routes/api:1:34: there is no pool "wbe"
	// {hosts: [api.example.com], pool: wbe}
	//                                  ^
	// hint: did you mean "web"?
	// 3 1 route removed <nil>
}
