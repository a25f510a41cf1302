package bench

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		name   string
		values []float64
		want   Spread
	}{
		{"nothing", nil, Spread{}},
		{"one value is its own spread", []float64{3}, Spread{3, 3, 3}},
		{"the middle of an odd number", []float64{9, 1, 2}, Spread{2, 1, 9}},
		{"between the middle two of an even number", []float64{4, 1, 2, 9}, Spread{3, 1, 9}},
	} {
		if got := spreadOf(test.values); got != test.want {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func row(peer, family string, values ...float64) *Row {
	r := &Row{Peer: peer, Family: family}
	for _, v := range values {
		r.Rounds = append(r.Rounds, Round{Value: v})
	}
	return r
}

func TestRatiosAreToTheBetterPeer(t *testing.T) {
	result := &CaseResult{Unit: perGB, Rows: []*Row{
		row("direct", familyDirect, 0, 0),
		row("gocopy", familyCopy, 2, 4),
		row("haproxy", familyHAProxy, 10, 20),
		row("haproxy-splice", familyHAProxy, 4, 8),
		row("nginx", familyNginx, 12, 24),
		row("switchyard", familyOurs, 2, 5),
	}}
	result.summarize()
	got := map[string][3]*Spread{}
	for _, r := range result.Rows {
		got[r.Peer] = [3]*Spread{r.Ratio, r.RatioTuned, r.RatioGoCopy}
	}
	want := map[string][3]*Spread{
		"direct":         {},
		"gocopy":         {{0.2, 0.2, 0.2}, {0.5, 0.5, 0.5}, nil},
		"haproxy":        {nil, {2.5, 2.5, 2.5}, {5, 5, 5}},
		"haproxy-splice": {{0.4, 0.4, 0.4}, nil, {2, 2, 2}},
		"nginx":          {{1.2, 1.2, 1.2}, {3, 3, 3}, {6, 6, 6}},
		"switchyard":     {{0.225, 0.2, 0.25}, {0.5625, 0.5, 0.625}, {1.125, 1, 1.25}},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateApprox(1e-9, 0)); diff != "" {
		t.Errorf("ratios plain, tuned, io.Copy (-want +got):\n%s", diff)
	}
}

func TestRatiosNeedAPeer(t *testing.T) {
	result := &CaseResult{Unit: perConnection, Rows: []*Row{row("switchyard", familyOurs, 2), row("nginx", familyNginx)}}
	result.summarize()
	if r := result.Rows[0]; r.Ratio != nil || r.RatioTuned != nil || r.RatioGoCopy != nil {
		t.Errorf("ratios to a peer that was not measured: %+v", r)
	}
}

const straceTable = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.060000          15      4000           sendto
 40.00    0.040000          10      3000      1000 recvfrom
------ ----------- ----------- --------- --------- ----------------
100.00    0.100000          14      7000      1000 total
`

func TestParseStrace(t *testing.T) {
	got, err := parseStrace(straceTable, 1000)
	want := &Syscalls{PerConnection: 7, ByName: map[string]float64{"sendto": 4, "recvfrom": 3}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("error %v, (-want +got):\n%s", err, diff)
	}
	if _, err := parseStrace("nothing\n", 1000); err == nil {
		t.Error("an empty table was accepted")
	}
}
