package main

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
