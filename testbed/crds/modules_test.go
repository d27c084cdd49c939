package main

import (
	"path"
	"strings"
	"testing"
)

func TestNoDefinitionOverwritesAnother(t *testing.T) {
	seen := map[string]string{}
	for _, module := range modules {
		for _, definition := range module.definitions {
			name := path.Base(definition)
			if other, found := seen[name]; found {
				t.Errorf("%s is a definition of %s and of %s", name, module.path, other)
			}
			seen[name] = module.path
		}
	}
}

func TestAModuleWithAnotherChecksumIsRefused(t *testing.T) {
	// A small one, which this module needs anyway.
	tampered := module{path: "sigs.k8s.io/yaml", version: "v1.6.0", sum: "h1:of-something-else"}
	err := tampered.copyDefinitions(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "checksum") {
		t.Errorf("a module with another checksum is answered with %v", err)
	}
}

func TestAModuleThatIsNotThereIsAnError(t *testing.T) {
	missing := module{path: "sigs.k8s.io/yaml", version: "v1.6.0-none", sum: "h1:any"}
	if err := missing.copyDefinitions(t.TempDir()); err == nil {
		t.Error("a version that does not exist is no error")
	}
}
