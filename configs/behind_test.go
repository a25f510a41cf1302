package configs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whoever gets a mistake about a file that the text names learns what the system has said of that file: the text may be sound
// where there was no descriptor for it.
func TestTheErrorOfAFileIsBehindItsMistake(t *testing.T) {
	t.Parallel()
	dir := certificates(t)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "round"), 0o700),
		os.Symlink("www.example.com.pem", filepath.Join(dir, "round", "www.example.com.pem"))); err != nil {
		t.Fatal(err)
	}
	const pair = "{cert: certs/a.crt, key: certs/a.key}"
	terminate := func(how string) string {
		return strings.Replace(small, "    pool: web", "    pool: web\n    terminate: "+how, 1)
	}
	pool := func(how string) string { return small + "    " + how + "\n" }
	acme := func(how string) string {
		return terminate("{acme: {agree: true, directory_url: https://acme.example.net/directory, " + how + "}}")
	}
	for _, c := range []struct {
		name, text string
		want       error
	}{
		{"cert", terminate("{certificates: [{cert: none, key: certs/a.key}]}"), fs.ErrNotExist},
		{"key", terminate("{certificates: [{cert: certs/a.crt, key: none}]}"), fs.ErrNotExist},
		{"directories", terminate("{directories: [none]}"), fs.ErrNotExist},
		{"a file of one", terminate("{directories: [round]}"), syscall.ELOOP},
		{"client_auth.ca", terminate("{certificates: [" + pair + "], client_auth: {ca: none}}"), fs.ErrNotExist},
		{"client_auth.crl", terminate("{certificates: [" + pair + "], client_auth: {ca: certs/clients.crt, crl: none}}"), fs.ErrNotExist},
		{"tickets.keys", terminate("{certificates: [" + pair + "], tickets: {keys: [none]}}"), fs.ErrNotExist},
		{"acme.storage", acme("storage: certs/a.crt/below"), syscall.ENOTDIR},
		{"acme.ca", acme("storage: none, ca: none"), fs.ErrNotExist},
		{"acme.eab", acme("storage: none, eab: {kid: a, hmac_key_file: none}"), fs.ErrNotExist},
		{"tls.ca", pool("tls: {ca: none}"), fs.ErrNotExist},
		{"tls.cert", pool("tls: {cert: none, key: certs/a.key}"), fs.ErrNotExist},
		{"health.ca", pool("health: {type: tls, verify: ca, ca: none}"), fs.ErrNotExist},
	} {
		_, err := Parse("a.yaml", []byte(c.text), dir)
		list, ok := errors.AsType[Errors](err)
		if !ok || len(list) != 1 || !errors.Is(err, c.want) || list[0].Unwrap() == nil {
			t.Errorf("%s: error %v; want one mistake, with %v behind it", c.name, err, c.want)
		}
	}
}
