package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// checkLimit refuses a --limit of a list that makes no sense.
func checkLimit(limit int) error {
	if limit < 0 {
		return usageError("0 lists all", "--limit: %d is less than nothing", limit)
	}
	return nil
}

// noteMore says that a list has ended at its limit.
func noteMore(cmd *cobra.Command, listed, total int, what string) {
	fmt.Fprintf(cmd.ErrOrStderr(), "switchyard: note: %d of %s; --limit 0 lists all\n", listed, count(total, what))
}

// pages asks for page after page of at most most rows, until there are limit of them, or all there are if limit is 0. fetch
// asks for one page, which begins behind after ("" for the first one), and returns how many rows it has and what the
// next one is behind; "" says that it was the last.
func pages(limit, most int, fetch func(want int, after string) (rows int, next string, err error)) error {
	have, after := 0, ""
	for {
		want := most
		if limit > 0 {
			want = min(want, limit-have)
		}
		rows, next, err := fetch(want, after)
		have, after = have+rows, next
		if err != nil || after == "" || have == limit {
			return err
		}
	}
}
