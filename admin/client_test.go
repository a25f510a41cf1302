package admin

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-23b4a313/switchyard/control"
)

func TestClientOverTheSocket(t *testing.T) {
	y := newYard(t)
	path := filepath.Join(t.TempDir(), "s")
	if err := y.admin.ListenUnix(path); err != nil {
		t.Fatal(err)
	}
	c := NewClient(path)
	defer c.Close()
	ctx := t.Context()
	var st Status
	raw, err := c.Do(ctx, Call{Path: Path("status")}, &st)
	if err != nil || st.Config == nil || st.Config.Revision != 1 || !json.Valid(raw) {
		t.Fatalf("status is %s, %v", raw, err)
	}
	var res control.Result
	odd := "a/b c%?#\u00e9"
	_, err = c.Do(ctx, Call{Method: "PUT", Path: Path("routes", odd), Body: []byte(`{}`)}, &res)
	refused, ok := errors.AsType[*APIError](err)
	if !ok || refused.Status != http.StatusUnprocessableEntity || len(refused.Mistakes) == 0 {
		t.Fatalf("PUT of a route %q: %v", odd, err)
	}
	if _, err = c.Do(ctx, Call{Method: "DELETE", Path: Path("routes", "www")}, &res); err != nil || res.Revision != 2 {
		t.Errorf("DELETE: %+v, %v", res, err)
	}
	if want := fmt.Sprintf("uid=%d", os.Geteuid()); !strings.Contains(y.log.String(), want) {
		t.Errorf("the log does not say %s:\n%s", want, y.log)
	}
}

func TestClientSaysWhyNobodyAnswers(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{filepath.Join(dir, "none"): os.ErrNotExist, file: syscall.ECONNREFUSED} {
		c := NewClient(path)
		if _, err := c.Do(t.Context(), Call{Path: Path("status")}, nil); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
		c.Close()
	}
}
