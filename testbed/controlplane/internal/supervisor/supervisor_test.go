package supervisor

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// components makes a directory of stand-ins, as KUBEBUILDER_ASSETS has real ones.
func components(t *testing.T, scripts map[string]string) {
	t.Helper()
	directory := t.TempDir()
	for name, script := range scripts {
		if err := os.WriteFile(filepath.Join(directory, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("KUBEBUILDER_ASSETS", directory)
	t.Setenv("TMPDIR", t.TempDir())
}

func leftovers(t *testing.T) []string {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), "*"))
	if err != nil {
		t.Fatal(err)
	}
	return left
}

func TestAComponentThatEndsFailsTheStartWithTheEndOfItsLog(t *testing.T) {
	components(t, map[string]string{
		"etcd":           "echo the disk is full >&2; exit 3",
		"kube-apiserver": "exec sleep 600",
	})
	var output bytes.Buffer
	err := Run(context.Background(), Options{}, &output)
	if err == nil {
		t.Fatal("it says that it started")
	}
	for _, part := range []string{"etcd", "exit status 3", "the disk is full"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q: %v", part, err)
		}
	}
	if output.Len() != 0 {
		t.Errorf("it announced %q", output.String())
	}
	if left := leftovers(t); len(left) != 0 {
		t.Errorf("it left %v behind", left)
	}
}

func TestAStartThatIsCalledOffIsNoFailureAndLeavesNothing(t *testing.T) {
	components(t, map[string]string{
		"etcd":           "exec sleep 600",
		"kube-apiserver": "exec sleep 600",
	})
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := Run(ctx, Options{}, &bytes.Buffer{}); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(t); len(left) != 0 {
		t.Errorf("it left %v behind", left)
	}
}

func TestADirectoryThatWasNamedIsKept(t *testing.T) {
	components(t, map[string]string{"etcd": "exit 1", "kube-apiserver": "exit 1"})
	directory := filepath.Join(t.TempDir(), "new", "directory")
	if err := Run(context.Background(), Options{Directory: directory}, &bytes.Buffer{}); err == nil {
		t.Fatal("it says that it started")
	}
	if _, err := os.Stat(filepath.Join(directory, "etcd.log")); err != nil {
		t.Fatal(err)
	}
}
