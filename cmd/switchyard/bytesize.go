package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// byteSize is a number of bytes as a flag: 100, 64KiB, 512MiB, 1GiB.
type byteSize int64

// units are in the order in which a size is printed: the largest that divides it. "B" is last: the others end in it.
var units = []struct {
	name string
	size int64
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// Type is the word for the value in help texts.
func (b *byteSize) Type() string { return "size" }

// String implements pflag.Value.
func (b *byteSize) String() string {
	for _, u := range units {
		if n := int64(*b); n != 0 && n%u.size == 0 {
			return fmt.Sprintf("%d%s", n/u.size, u.name)
		}
	}
	return "0"
}

// Set implements pflag.Value.
func (b *byteSize) Set(s string) error {
	unit := int64(1)
	for _, u := range units {
		if number, found := strings.CutSuffix(s, u.name); found {
			s, unit = number, u.size
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > (1<<62)/unit {
		return errors.New("not a size such as 100, 64KiB or 1GiB")
	}
	*b = byteSize(n * unit)
	return nil
}
