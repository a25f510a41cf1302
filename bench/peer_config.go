package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/template"
)

// write renders one file of a configuration and returns its path.
func write(dir, name string, t *template.Template, data any) (path, text string, err error) {
	var b strings.Builder
	if err := t.Execute(&b, data); err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, name)
	return path, b.String(), os.WriteFile(path, []byte(b.String()), 0o600)
}

// writeMap writes one line for each name: line(name, pool).
func writeMap(path string, w work, line func(name string, pool int) string) error {
	var b strings.Builder
	for i := range w.names.Len() {
		b.WriteString(line(w.names.At(i), i%len(w.backends)))
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// The thread that accepts serves: shards gives every thread a listening socket of its own (SO_REUSEPORT), as nginx and
// Switchyard have it.
var haproxyConfig = template.Must(template.New("haproxy").Parse(`global
    nbthread {{.Cores}}
    maxconn {{.MaxConn}}
    maxpipes {{.MaxPipes}}
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    timeout tunnel 1h
    {{.Splice}}
frontend bench
    bind {{.Listen}} shards by-thread
    tcp-request inspect-delay 5s
    tcp-request content accept if { req.ssl_hello_type 1 }
    tcp-request content reject
    use_backend %[req.ssl_sni,lower,map({{.Map}})]
{{range $i, $a := .Backends}}backend pool-{{$i}}
    server s {{$a}}
{{end}}`))

func configureHAProxy(splice string) func(string, work) ([]string, string, error) {
	return func(dir string, w work) ([]string, string, error) {
		names := filepath.Join(dir, "names.map")
		err := writeMap(names, w, func(name string, pool int) string { return fmt.Sprintf("%s pool-%d\n", name, pool) })
		if err != nil {
			return nil, "", err
		}
		// HAProxy checks at the start that two descriptors per connection and per pipe fit its limit.
		pipes := w.fds / 20
		path, text, err := write(dir, "haproxy.cfg", haproxyConfig, map[string]any{
			"Cores": w.cores, "MaxPipes": pipes, "MaxConn": (w.fds-2*pipes)/2 - 200,
			"Splice": splice, "Listen": w.listen, "Map": names, "Backends": w.backends,
		})
		return []string{"-db", "-f", path}, text, err
	}
}

// access_log is off and error_log takes what is critical only; the hash is sized so that it is built at once.
var nginxConfig = template.Must(template.New("nginx").Parse(`{{with .Module}}load_module {{.}};
{{end}}daemon off;
{{if .Root}}user root;
{{end}}worker_processes {{.Cores}};
worker_rlimit_nofile {{.FDs}};
pid {{.Dir}}/nginx.pid;
error_log stderr crit;
events {
    worker_connections {{.FDs}};
}
stream {
    access_log off;
    map_hash_bucket_size 128;
    map_hash_max_size {{.HashSize}};
    map $ssl_preread_server_name $pool {
        include {{.Map}};
    }
{{range $i, $a := .Backends}}    upstream pool-{{$i}} { server {{$a}}; }
{{end}}    server {
        listen {{.Listen}} reuseport backlog=4096;
        ssl_preread on;
        preread_timeout 5s;
        proxy_connect_timeout 5s;
        proxy_timeout 1h;
        {{.Tuning}};
        proxy_pass $pool;
    }
}
`))

// nginxModules are where distributions put the stream module; a nginx that has it built in needs none of them.
var nginxModules = []string{"/usr/lib/nginx/modules/ngx_stream_module.so", "/usr/lib64/nginx/modules/ngx_stream_module.so"}

// configureNginx makes a configuration with one directive that the rows differ in.
func configureNginx(tuning string) func(string, work) ([]string, string, error) {
	return func(dir string, w work) ([]string, string, error) {
		names := filepath.Join(dir, "names.map")
		err := writeMap(names, w, func(name string, pool int) string { return fmt.Sprintf("%s pool-%d;\n", name, pool) })
		if err != nil {
			return nil, "", err
		}
		path, text, err := write(dir, "nginx.conf", nginxConfig, map[string]any{
			"Module": firstExisting(nginxModules), "Root": os.Getuid() == 0, "Cores": w.cores, "FDs": w.fds, "Dir": dir,
			"HashSize": max(2048, 4*w.names.Len()), "Map": names, "Backends": w.backends, "Listen": w.listen, "Tuning": tuning,
		})
		return []string{"-p", dir, "-e", "stderr", "-c", path}, text, err
	}
}

func firstExisting(paths []string) string {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return ""
}

var switchyardConfig = template.Must(template.New("switchyard").Parse(`log:
  level: info
  format: json
  connections: {{.Log}}
listeners:
  - name: bench
    bind: ["{{.Listen}}"]
    hello_timeout: 5s
    no_sni: {reject: close}
    unknown_sni: {reject: close}
    not_tls: {reject: close}
routes:
{{range $i, $hosts := .Hosts}}  - name: names-{{$i}}
    hosts:
{{range $hosts}}      - {{.}}
{{end}}    pool: pool-{{$i}}
{{end}}pools:
{{range $i, $a := .Backends}}  - name: pool-{{$i}}
    backends: ["{{$a}}"]
    connect_timeout: 5s
    idle_timeout: 1h
{{end}}`))

func configureSwitchyard(log bool) func(string, work) ([]string, string, error) {
	return func(dir string, w work) ([]string, string, error) {
		hosts := make([][]string, min(len(w.backends), w.names.Len()))
		for i := range w.names.Len() {
			pool := i % len(w.backends)
			hosts[pool] = append(hosts[pool], w.names.At(i))
		}
		path, text, err := write(dir, "switchyard.yaml", switchyardConfig, map[string]any{
			"Log": log, "Listen": w.listen, "Hosts": hosts, "Backends": w.backends,
		})
		return []string{"run", path}, text, err
	}
}
