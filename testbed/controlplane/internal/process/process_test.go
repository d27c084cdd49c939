package process

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func start(t *testing.T, script string) *Child {
	t.Helper()
	child, err := Start("child", filepath.Join(t.TempDir(), "child.log"), "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { child.Stop(0) })
	return child
}

// logged waits until the child has written a line to its log.
func logged(t *testing.T, child *Child, line string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if log, err := os.ReadFile(child.LogPath); err == nil && strings.Contains(string(log), line) {
			return
		}
	}
	t.Fatalf("the child never wrote %q", line)
}

func TestStopLetsAChildEndByItself(t *testing.T) {
	child := start(t, `trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.01; done`)
	logged(t, child, "ready")
	child.Stop(10 * time.Second)
	logged(t, child, "goodbye")
}

func TestStopKillsAChildThatDoesNotEnd(t *testing.T) {
	child := start(t, `trap '' TERM; echo ready; while :; do sleep 0.01; done`)
	logged(t, child, "ready")
	child.Stop(50 * time.Millisecond)
	if err := syscall.Kill(child.PID(), 0); err != syscall.ESRCH {
		t.Fatalf("the child still runs: %v", err)
	}
}

func TestAFailureNamesTheStatusAndTheEndOfTheLog(t *testing.T) {
	child := start(t, `for i in $(seq 1 30); do echo "line $i"; done; exit 3`)
	<-child.Exited()
	failure := child.Failure().Error()
	for _, part := range []string{"child", "exit status 3", "line 11\n", "line 30"} {
		if !strings.Contains(failure, part) {
			t.Errorf("the failure does not say %q:\n%s", part, failure)
		}
	}
	if strings.Contains(failure, "line 10\n") {
		t.Errorf("the failure quotes more than the end of the log:\n%s", failure)
	}
}
