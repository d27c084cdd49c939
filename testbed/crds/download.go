package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// download makes the module available and returns the directory that holds its files.
func (m module) download() (string, error) {
	command := exec.Command("go", "mod", "download", "-json", m.path+"@"+m.version)
	// Elsewhere than in this module, whose go.sum is none of its business.
	command.Dir = os.TempDir()
	output, err := command.Output()
	var answer struct{ Dir, Sum, Error string }
	if decoding := json.Unmarshal(output, &answer); decoding != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("%s@%s: %w: %s", m.path, m.version, err, exit.Stderr)
		}
		return "", fmt.Errorf("%s@%s: %w", m.path, m.version, errors.Join(err, decoding))
	}
	if err != nil || answer.Error != "" {
		return "", fmt.Errorf("%s@%s: %s", m.path, m.version, answer.Error)
	}
	if answer.Sum != m.sum {
		return "", fmt.Errorf("%s@%s has the checksum %s, not %s", m.path, m.version, answer.Sum, m.sum)
	}
	return answer.Dir, nil
}

// copyDefinitions copies the module's CustomResourceDefinitions into a directory.
func (m module) copyDefinitions(directory string) error {
	source, err := m.download()
	if err != nil {
		return err
	}
	for _, definition := range m.definitions {
		content, err := os.ReadFile(filepath.Join(source, filepath.FromSlash(definition)))
		if err != nil {
			return err
		}
		target := filepath.Join(directory, filepath.Base(definition))
		if err := os.WriteFile(target, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}
