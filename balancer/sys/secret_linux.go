package sys

import "golang.org/x/sys/unix"

// KeepMemory keeps the memory of this process, which may hold private keys, from core dumps and from other processes of
// the same user (RLIMIT_CORE, core(5); PR_SET_DUMPABLE, prctl(2)). Root may still attach a debugger.
func KeepMemory() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}
