//go:build unix

package bench

import "syscall"

// ownGroup puts a program and its workers into a process group of their own, so that one signal ends them all.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func killGroup(pid int) error { return syscall.Kill(-pid, syscall.SIGKILL) }

func interrupt(pid int) error { return syscall.Kill(pid, syscall.SIGINT) }

func terminate(pid int) error { return syscall.Kill(pid, syscall.SIGTERM) }
