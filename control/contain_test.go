package control

import (
	"strings"
	"testing"

	"github.com/seed-23b4a313/switchyard/configs"
)

// A text that the checks stumble over is refused like any other, whoever loads it; what runs goes on, and can be changed.
func TestATextThatMeetsADefectIsRefused(t *testing.T) {
	t.Parallel()
	y := start(t, still+base)
	parse := y.parseFile
	y.parseFile = func(*configs.Progress, string, []byte, string, []configs.Entry) (*configs.Config, error) {
		var none []string
		_ = none[len(none)]
		return nil, nil
	}
	y.write(t, toSpare)
	for _, origin := range []string{OriginSignal, OriginWatch, "POST /v1/reload"} {
		y.write(t, toSpare+"# by "+origin+"\n")
		r, err := y.Reload(t.Context(), ReloadRequest{Origin: origin})
		if e := refusal[*RefusedError](t, r, err); !strings.HasPrefix(e.Error(), "internal error: ") {
			t.Errorf("%s: %v", origin, e)
		}
	}
	_, err := y.edit(t.Context(), as("PUT /v1/routes/x"), func(configs.Running) (*configs.Change, error) { panic("a defect") })
	if e := refusal[*RefusedError](t, nil, err); !strings.HasPrefix(e.Error(), "internal error: ") {
		t.Errorf("a change: %v", e)
	}
	lines := y.lines(t, "internal error: a text is refused, and what runs goes on")
	if len(lines) != 4 {
		t.Fatalf("%d lines tell of it", len(lines))
	}
	if stack, _ := lines[0]["stack"].(string); !strings.Contains(stack, "contain_test.go") || !strings.Contains(lines[0]["panic"].(string), "out of range") {
		t.Errorf("log: %v", lines[0])
	}
	if st := y.Status(); st.Revision != 1 || st.LastReload.OK {
		t.Errorf("status %+v", st)
	}
	y.parseFile = parse
	if r := y.reload(t, ReloadRequest{Origin: OriginSignal}); !r.Changed {
		t.Errorf("result %+v", r)
	}
}
