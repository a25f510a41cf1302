package configs_test

import (
	"fmt"

	"github.com/seed-23b4a313/switchyard/configs"
)

func ExampleParse() {
	data := []byte(`listeners:
  - name: public
    bind: [":8443"]
    hello_timeout: 5
routes:
  - name: www
    hosts: [www.example.com]
    pool: wbe
pools:
  - name: web
    balence: least_connections
    backends: ["192.0.2.7:443"]
`)
	_, err := configs.Parse("switchyard.yaml", data, "/etc/switchyard")
	fmt.Println(err)
	// Output:
	// switchyard.yaml:4:20: hello_timeout: "5" has no unit
	//     hello_timeout: 5
	//                    ^
	// hint: did you mean "5s"?
	// switchyard.yaml:8:11: there is no pool "wbe"
	//     pool: wbe
	//           ^
	// hint: did you mean "web"?
	// switchyard.yaml:11:5: unknown key "balence" in pools[0]
	//     balence: least_connections
	//     ^
	// hint: did you mean "balance"?
}
