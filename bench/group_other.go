//go:build !unix

package bench

import (
	"errors"
	"syscall"
)

func ownGroup() *syscall.SysProcAttr { return nil }

func killGroup(int) error { return errors.ErrUnsupported }

func interrupt(int) error { return errors.ErrUnsupported }

func terminate(int) error { return errors.ErrUnsupported }
