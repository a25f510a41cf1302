//go:build !unix

package proc

import "errors"

// Self is the processor time of the calling process; zero where we cannot ask.
func Self() CPU { return CPU{} }

// DescriptorLimit says that there is none to know.
func DescriptorLimit() (int, error) { return 0, errors.ErrUnsupported }
