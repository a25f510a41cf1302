//go:build linux

package proc

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestTreeHasDescendants(t *testing.T) {
	// A shell with a child of its own; both end with the pipe.
	cmd := exec.Command("sh", "-c", "cat <&3 & echo; wait")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{r}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	if _, err := stdout.Read(make([]byte, 1)); err != nil { // the child is there
		t.Fatal(err)
	}
	tree, err := Tree(cmd.Process.Pid)
	if err != nil || len(tree) != 2 || tree[0] != cmd.Process.Pid {
		t.Errorf("tree %v, %v; want the shell %d and its child", tree, err, cmd.Process.Pid)
	}
	self, err := Tree(os.Getpid())
	if err != nil || !slices.Contains(self, tree[len(tree)-1]) {
		t.Errorf("tree of the test %v, %v: lacks a grandchild", self, err)
	}
	_ = w.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestCPUGrowsWithWork(t *testing.T) {
	self := []int{os.Getpid()}
	before, err := CPUOf(self)
	if err != nil {
		t.Fatal(err)
	}
	const work = 50 * time.Millisecond
	for start := Self(); Self().Sub(start).Total < work; { // of processor time, however slow the machine
	}
	after, err := CPUOf(self)
	if got := after.Sub(before).Total; err != nil || got < work-10*time.Millisecond {
		t.Errorf("%v used, %v; want at least %v", got, err, work)
	}
}

func TestMemoryAndDescriptorsGrow(t *testing.T) {
	self := []int{os.Getpid()}
	memory, err := MemoryOf(self)
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	block := make([]byte, size)
	for i := range block {
		block[i] = 1
	}
	grown, err := MemoryOf(self)
	if err != nil || grown-memory < size/2 {
		t.Errorf("memory from %d to %d, %v; want %d more", memory, grown, err, size)
	}
	fds, err := FDsOf(self)
	if err != nil || fds < 3 {
		t.Errorf("%d descriptors, %v", fds, err)
	}
	if block[0] != 1 {
		t.Error("the block must live until here")
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	if m.CPU == "" || m.Cores < 1 || m.Kernel == "" || m.Congestion == "" || m.Memory == "" {
		t.Errorf("machine %+v", m)
	}
}

func TestGoneProcessIsAnError(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	gone := []int{cmd.Process.Pid}
	if _, err := CPUOf(gone); err == nil {
		t.Error("processor time of a process that ended")
	}
	if _, err := MemoryOf(gone); err == nil {
		t.Error("memory of a process that ended")
	}
}
