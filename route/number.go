package route

import "slices"

// gap is what lies between numbers that had to be given anew, so that the next row put between two others moves none.
const gap = 1024

// renumber returns ascending numbers for rows, given the one that each has, or -1. As many as can keep theirs, and
// a row that comes between two others takes a free number between theirs. Only if there is none do the rows behind it
// move, up to where there is room; those that move to the end are spread out there.
func renumber(have []int) []int {
	numbers := slices.Clone(have)
	keepAscending(numbers)
	last := -1
	for i := 0; i < len(numbers); {
		if numbers[i] > last {
			last = numbers[i]
			i++
			continue
		}
		end, step := space(numbers, i, last)
		for ; i < end; i++ {
			last += step
			numbers[i] = last
		}
	}
	return numbers
}

// space finds where there is room for the row at start, which has no number: those from it up to, and without, end get
// numbers above last that are step apart.
func space(numbers []int, start, last int) (end, step int) {
	step = 1
	for end = start + 1; end < len(numbers); end++ {
		if between := numbers[end] - last - 1; between >= end-start {
			return end, (between + 1) / (end - start + 1)
		}
		if numbers[end] >= 0 {
			step = gap
		}
	}
	return end, step
}

// keepAscending sets to -1 all that are not in a longest ascending subsequence of numbers, and leaves those that are -1.
func keepAscending(numbers []int) {
	var tails []int                     // by length-1: where the subsequence of that length with the smallest end ends
	before := make([]int, len(numbers)) // where the longest subsequence that ends here has its last number but one
	for i, n := range numbers {
		if n < 0 {
			continue
		}
		at := len(tails)
		if at > 0 && numbers[tails[at-1]] > n {
			at, _ = slices.BinarySearchFunc(tails, n, func(tail, n int) int { return numbers[tail] - n })
		}
		before[i] = -1
		if at > 0 {
			before[i] = tails[at-1]
		}
		if at == len(tails) {
			tails = append(tails, i)
		} else {
			tails[at] = i
		}
	}
	if len(tails) == 0 {
		return
	}
	keep := tails[len(tails)-1]
	for i := len(numbers) - 1; i >= 0; i-- {
		if i != keep {
			numbers[i] = -1
			continue
		}
		keep = before[i]
	}
}
