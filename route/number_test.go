package route

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRenumber(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what string
		have []int
		want []int
	}{
		{"nothing", []int{}, []int{}},
		{"all new", []int{-1, -1, -1}, []int{0, 1, 2}},
		{"all stay", []int{0, 1, 7}, []int{0, 1, 7}},
		{"one comes last", []int{0, 5, -1}, []int{0, 5, 6}},
		{"one comes between, in the middle of the hole", []int{0, 10, -1, 20}, []int{0, 10, 15, 20}},
		{"two come between", []int{10, -1, -1, 20}, []int{10, 13, 16, 20}},
		{"as many come as there is room for", []int{3, -1, -1, 6}, []int{3, 4, 5, 6}},
		{"one comes first where one was", []int{-1, 1, 2}, []int{0, 1, 2}},
		{"one moves", []int{1, 2, 3, 0}, []int{1, 2, 3, 4}},
		{"those behind move up to the next hole", []int{0, -1, 1, 2, 9}, []int{0, 2, 4, 6, 9}},
		{"those behind move to the end, and get gaps", []int{0, -1, 1, 2}, []int{0, gap, 2 * gap, 3 * gap}},
		{"reversed", []int{2, 1, 0}, []int{gap - 1, 2*gap - 1, 3*gap - 1}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			have := slices.Clone(tt.have)
			if diff := cmp.Diff(tt.want, renumber(have)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", tt.have, diff)
			}
			if diff := cmp.Diff(tt.have, have); diff != "" {
				t.Errorf("the argument was changed (-want +got):\n%s", diff)
			}
		})
	}
}

// Numbers ascend whatever is asked, and where there is room between all of them only rows that are new or not in order
// get another one.
func TestRenumberIsMinimal(t *testing.T) {
	t.Parallel()
	for seed := range uint64(2_000) {
		rng := rand.New(rand.NewPCG(seed, 4))
		have, roomy := make([]int, rng.IntN(12)), rng.IntN(2) == 0
		for i, n := range rng.Perm(3 * len(have))[:len(have)] {
			have[i] = n
			if roomy {
				have[i] = (n + 1) * 100
			}
			if rng.IntN(4) == 0 {
				have[i] = -1
			}
		}
		if rng.IntN(2) == 0 {
			slices.Sort(have[len(have)/2:])
		}
		got := renumber(have)
		kept := 0
		for i, n := range got {
			if n < 0 || i > 0 && n <= got[i-1] {
				t.Fatalf("seed %d: %v became %v, which does not ascend", seed, have, got)
			}
			if n == have[i] {
				kept++
			}
		}
		if want := longestAscending(have); roomy && kept < want {
			t.Fatalf("seed %d: %v became %v: %d kept their number, want %d", seed, have, got, kept, want)
		}
	}
}

// longestAscending is the length of the longest ascending subsequence, the slow way.
func longestAscending(numbers []int) (longest int) {
	length := make([]int, len(numbers))
	for i, n := range numbers {
		if n < 0 {
			continue
		}
		length[i] = 1
		for j := range i {
			if numbers[j] >= 0 && numbers[j] < n {
				length[i] = max(length[i], length[j]+1)
			}
		}
		longest = max(longest, length[i])
	}
	return longest
}
