package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// update rewrites the expectations of the scripts.
var update = flag.Bool("update", false, "rewrite the cmp files of testdata/script")

// gorace has a program under the race detector end at once: it would sleep for a second first, and the scripts start hundreds.
const gorace = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	if err := os.Setenv("GORACE", gorace+" "+os.Getenv("GORACE")); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"switchyard": main})
}

// scriptsTimeout is when a program that hangs is killed, with a stack dump. All scripts together take seconds.
const scriptsTimeout = 3 * time.Minute

// TestScripts runs the stories in testdata/script; each is a file with what is typed and what has to come out.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       *update,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(scriptsTimeout),
		Setup: func(env *testscript.Env) error {
			env.Values[daemonsKey{}] = make(daemons)
			env.Values[heldKey{}] = new([]io.Closer)
			env.Setenv("TMPDIR", env.WorkDir)
			env.Setenv("GORACE", os.Getenv("GORACE"))
			testdata, err := filepath.Abs("testdata")
			env.Setenv("TESTDATA", testdata)
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":       exits,
			"certificate": certificate,
			"daemon":      daemon,
			"expect":      expect,
			"sendsig":     sendSignal,
			"finishes":    finishes,
			"hold":        hold,
			"letgo":       letgo,
		},
		Condition: func(cond string) (bool, error) {
			switch cond {
			case "root":
				return os.Getuid() == 0, nil
			case "devfull":
				_, err := os.Stat("/dev/full")
				return err == nil, nil
			}
			return false, nil
		},
	})
}
