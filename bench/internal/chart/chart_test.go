package chart

import (
	"encoding/xml"
	"errors"
	"html/template"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// wellFormed reads a drawing as XML and returns its texts.
func wellFormed(t *testing.T, drawing template.HTML) (texts []string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(string(drawing)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatalf("%v in %s", err, drawing)
		}
		if text, ok := token.(xml.CharData); ok {
			texts = append(texts, string(text))
		}
	}
}

func TestBars(t *testing.T) {
	drawing := Bars{Title: `a "title" & more`, Groups: []Group{
		{Name: "10 names", Bars: []Bar{
			{Name: "<b>", Value: 50, Min: 40, Max: 100, Text: "50 µs"},
			{Name: "none", Lost: "not measured"},
		}},
		{Name: "empty"},
	}}.SVG()
	want := []string{"10 names", "<b>", "<b>: 50 µs", "50 µs", "none", "not measured", "empty"}
	if diff := cmp.Diff(want, wellFormed(t, drawing)); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	// The largest value there is, 100, is as long as the room for bars; so 50 is half of it.
	if want := `width="220.0"`; !strings.Contains(string(drawing), want) {
		t.Errorf("no bar with %s in %s", want, drawing)
	}
}

func TestLines(t *testing.T) {
	drawing := Lines{Title: "latency", X: Tail, Y: Duration, XLabel: "percent", YLabel: "time", Series: []Series{
		{Name: "a & b", Points: []XY{{0, 1e6}, {50, 2e6}, {99, 9e6}}},
		{Name: "no points"},
		{Name: "one point", Points: []XY{{50, 2e6}}},
	}}.SVG()
	texts := strings.Join(wellFormed(t, drawing), "|")
	for _, want := range []string{"1ms", "3ms", "10ms", "p50", "p99", "a & b", "one point", "percent", "time"} {
		if !strings.Contains(texts, want) {
			t.Errorf("no %q in %s", want, texts)
		}
	}
	if strings.Contains(texts, "no points") || strings.Contains(texts, "p99.9") {
		t.Errorf("more than there is: %s", texts)
	}
	if got := wellFormed(t, Lines{}.SVG()); len(got) != 1 || got[0] != "nothing was measured" {
		t.Errorf("a chart of nothing says %q", got)
	}
}

func TestScales(t *testing.T) {
	for _, test := range []struct {
		name      string
		scale     Scale
		low, high float64
		want      []string
	}{
		{"round numbers", Linear, 3, 9_000, []string{"0", "2\u2009500", "5\u2009000", "7\u2009500", "10\u2009000"}},
		{"nothing", Linear, 0, 0, []string{"0", "0.25", "0.5", "0.75", "1"}},
		{"halves of decades", Duration, 2e5, 5e6, []string{"100µs", "300µs", "1ms", "3ms", "10ms"}},
		{"nines", Tail, 0, 99.99, []string{"p0", "p50", "p90", "p99", "p99.9", "p99.99"}},
		{"seconds", Seconds, 0, 1.9, []string{"0 s", "0.5 s", "1 s", "1.5 s", "2 s"}},
	} {
		low, high := test.scale.bounds(test.low, test.high)
		if low > test.low || high < test.high {
			t.Errorf("%s: bounds %v to %v do not hold %v to %v", test.name, low, high, test.low, test.high)
		}
		var got []string
		for _, tick := range test.scale.ticks(low, high) {
			got = append(got, tick.text)
			if at := test.scale.at(tick.value, low, high); at < -0.001 || at > 1.001 {
				t.Errorf("%s: tick %s is at %v, outside the axis", test.name, tick.text, at)
			}
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: ticks (-want +got):\n%s", test.name, diff)
		}
	}
}
