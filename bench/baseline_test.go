package bench

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// comparisonOf is one case with rows of one round each.
func comparisonOf(rows ...*Row) *Comparison {
	result := &CaseResult{Key: "hello", Unit: perConnection, Names: 10, Rows: rows}
	result.summarize()
	return &Comparison{Cases: []*CaseResult{result}}
}

func withFailures(r *Row, started, failed int) *Row {
	r.Rounds[0].Load = &LoadReport{Started: started, Done: started - failed, Failed: failed}
	return r
}

func TestChangesSinceABaseline(t *testing.T) {
	const limit = 0.05
	for _, test := range []struct {
		name     string
		old, now *Comparison
		worse    []string // what is beyond the limit
		note     string
	}{
		{"the same", comparisonOf(row("switchyard", familyOurs, 10)), comparisonOf(row("switchyard", familyOurs, 10)), nil, ""},
		{"within the limit", comparisonOf(row("switchyard", familyOurs, 10)), comparisonOf(row("switchyard", familyOurs, 10.4)), nil, ""},
		{"better is no regression", comparisonOf(row("switchyard", familyOurs, 10)), comparisonOf(row("switchyard", familyOurs, 5)), nil, ""},
		{"beyond it", comparisonOf(row("switchyard", familyOurs, 10)), comparisonOf(row("switchyard", familyOurs, 10.6)), []string{"hello, 10 names, switchyard"}, ""},
		{"the median counts", comparisonOf(row("switchyard", familyOurs, 10)), comparisonOf(row("switchyard", familyOurs, 10, 10, 90)), nil, ""},
		{"a variant of ours counts", comparisonOf(row("switchyard-log", familyOurs, 1)), comparisonOf(row("switchyard-log", familyOurs, 2)), []string{"hello, 10 names, switchyard-log"}, ""},
		{"a peer that moved tells of the machine", comparisonOf(row("nginx", familyNginx, 10)), comparisonOf(row("nginx", familyNginx, 20)), nil, "the machine is not as it was"},
		{"what the baseline lacks is said", comparisonOf(), comparisonOf(row("switchyard", familyOurs, 10)), nil, "not in the baseline"},
		{"a row that could not be measured", comparisonOf(row("switchyard", familyOurs, 10)), comparisonOf(row("switchyard", familyOurs)), []string{"hello, 10 names, switchyard: failed connections"}, "could not be measured"},
		{"the first failure", comparisonOf(withFailures(row("switchyard", familyOurs, 10), 100, 0)), comparisonOf(withFailures(row("switchyard", familyOurs, 10), 100, 1)),
			[]string{"hello, 10 names, switchyard: failed connections"}, ""},
		{"no more failures than before", comparisonOf(withFailures(row("switchyard", familyOurs, 10), 100, 2)), comparisonOf(withFailures(row("switchyard", familyOurs, 10), 200, 4)), nil, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes := test.now.Since(test.old)
			var worse []string
			for _, c := range changes.WorseThan(limit) {
				worse = append(worse, c.What)
			}
			if diff := cmp.Diff(test.worse, worse); diff != "" {
				t.Errorf("worse than allowed (-want +got):\n%s", diff)
			}
			var text bytes.Buffer
			if err := changes.WriteText(&text, limit); err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(text.String(), test.note) || test.note == "" && strings.Contains(text.String(), "note:") ||
				strings.Contains(text.String(), "REGRESSION") != (len(test.worse) > 0) {
				t.Errorf("text, want note %q:\n%s", test.note, &text)
			}
		})
	}
}

func loadOfOneSecond(done, failed int, p99 time.Duration) *LoadReport {
	return &LoadReport{Config: LoadConfig{Mode: ModeHello, Workers: 4}, Elapsed: time.Second, Started: done + failed, Done: done, Failed: failed,
		Latency: Percentiles{P50: time.Millisecond, P99: p99}}
}

func TestChangesOfALoad(t *testing.T) {
	old := loadOfOneSecond(1000, 0, 10*time.Millisecond)
	for _, test := range []struct {
		name  string
		now   *LoadReport
		worse []string
	}{
		{"the same", loadOfOneSecond(1000, 0, 10*time.Millisecond), nil},
		{"faster", loadOfOneSecond(2000, 0, 5*time.Millisecond), nil},
		{"slower", loadOfOneSecond(900, 0, 10*time.Millisecond), []string{"hello: speed"}},
		{"a longer tail", loadOfOneSecond(1000, 0, 12*time.Millisecond), []string{"hello: p99"}},
		{"failures", loadOfOneSecond(1000, 1, 10*time.Millisecond), []string{"hello: failed connections"}},
	} {
		var worse []string
		for _, c := range test.now.Since(old).WorseThan(0.05) {
			worse = append(worse, c.What)
		}
		if diff := cmp.Diff(test.worse, worse); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
	other := loadOfOneSecond(1, 0, 1)
	other.Config.Rate = 5
	if notes := other.Since(old).Notes; len(notes) != 1 || !strings.Contains(notes[0], "another load") {
		t.Errorf("notes %q, want that the loads differ", notes)
	}
}

func TestReadRefusesTheOtherKind(t *testing.T) {
	var load, comparison bytes.Buffer
	if err := loadOfOneSecond(1, 0, 1).WriteJSON(&load); err != nil {
		t.Fatal(err)
	}
	if err := comparisonOf().WriteJSON(&comparison); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadComparison(bytes.NewReader(load.Bytes())); err == nil {
		t.Error("a load was read as a comparison")
	}
	if _, err := ReadLoadReport(bytes.NewReader(comparison.Bytes())); err == nil {
		t.Error("a comparison was read as a load")
	}
	if _, err := ReadLoadReport(strings.NewReader("{")); err == nil {
		t.Error("half a document was read")
	}
	if r, err := ReadLoadReport(&load); err != nil || r.Done != 1 {
		t.Errorf("read %+v, %v", r, err)
	}
}
