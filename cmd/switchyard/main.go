package main

import (
	"io"
	"os"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the whole program; it returns the exit status.
func run(args []string, in io.Reader, out, errw io.Writer) int {
	data := &checkedWriter{w: out}
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(data)
	root.SetErr(errw)
	err := root.Execute()
	if data.err != nil {
		err = data.err // what else went wrong followed from it
	}
	return report(errw, err)
}

// checkedWriter remembers the first error of w, so that a full disk is not taken for success by code that prints
// without looking. After an error it writes no more.
type checkedWriter struct {
	w   io.Writer
	err error
}

func (c *checkedWriter) Write(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(p)
	c.err = err
	return n, err
}
