package file

import (
	"slices"
	"strings"
)

// Nearest returns the hint that offers the word which is most like the misspelt one; "" if none is like it.
func Nearest(misspelt string, words []string) string {
	if near := nearest(misspelt, words); near != "" {
		return didYouMean(near)
	}
	return ""
}

func didYouMean(word string) string { return "did you mean " + quote(word) + "?" }

// longest is the length of the longest word that is compared. No key or name is longer, and the table of a distance
// is the product of two lengths.
const longest = 64

// nearest returns the word that is most like the misspelt one, or "". Like means: equal but for case and separators, or
// at most a third of its letters changed, or one a part of the other ("timeout", "hello_timeout").
func nearest(misspelt string, words []string) string {
	if misspelt == "" || len(misspelt) > longest {
		return ""
	}
	bare := simplify(misspelt)
	best, bestCost := "", max(1, len(bare)/3)+1
	for _, w := range words {
		if c := distance(bare, simplify(w), bestCost); c < bestCost {
			best, bestCost = w, c
		}
	}
	if best != "" || len(bare) < 4 {
		return best
	}
	i := slices.IndexFunc(words, func(w string) bool {
		w = simplify(w)
		return strings.Contains(w, bare) || len(w) >= 4 && strings.Contains(bare, w)
	})
	if i < 0 {
		return ""
	}
	return words[i]
}

var separators = strings.NewReplacer("_", "", "-", "", " ", "")

// simplify takes away in what spellings differ that mean the same: case, and what joins two words.
func simplify(s string) string { return separators.Replace(strings.ToLower(s)) }

// distance counts the letters to insert, remove, change or swap with their neighbour to make b of a (optimal string
// alignment). It may stop at any value >= limit, and does for words longer than the longest.
func distance(a, b string, limit int) int {
	if d := len(a) - len(b); d >= limit || -d >= limit || len(b) > longest {
		return limit
	}
	var rows [3][longest + 1]int
	before, last, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := last[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, last[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
