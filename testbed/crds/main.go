// Command crds collects the CustomResourceDefinitions of the projects that the documentation shows
// manifests for, in one directory:
//
//	go run . DIRECTORY
//
// They come from pinned releases of these projects, by the Go module proxy alone. A test applies the
// manifests to an API server that has them. For projects whose definitions cannot be had that way, the
// directory excerpts holds the part that the documentation uses.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crds DIRECTORY")
		os.Exit(2)
	}
	if err := collect(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "crds:", err)
		os.Exit(1)
	}
}

// collect fills the directory anew. It is complete when it is there: it is made beside it first.
func collect(directory string) error {
	directory, err := filepath.Abs(directory)
	if err != nil {
		return err
	}
	made, err := os.MkdirTemp(filepath.Dir(directory), "crds-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made)
	for _, module := range modules {
		if err := module.copyDefinitions(made); err != nil {
			return err
		}
	}
	for _, typePackage := range typePackages {
		if err := generateDefinitions(made, typePackage); err != nil {
			return err
		}
	}
	if err := os.Chmod(made, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(directory); err != nil {
		return err
	}
	return os.Rename(made, directory)
}
