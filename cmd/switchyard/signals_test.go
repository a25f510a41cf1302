package main

import (
	"syscall"
	"testing"
	"time"
)

// Nobody looks at signals before the program has started: whatever asks for reloads meanwhile, one that means stop is not lost.
func TestAStopIsNotLostAmongReloads(t *testing.T) {
	caught := catchSignals()
	defer caught.release()
	for range 10 {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond) // two of a kind that are pending are one
	}
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-caught.stop:
	case <-time.After(10 * time.Second):
		t.Fatal("the stop was lost")
	}
	if n := len(caught.reload); n != 1 {
		t.Errorf("%d reloads are asked for, want one", n)
	}
}
