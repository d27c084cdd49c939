package main

import (
	"errors"

	// The generator only loads what this module depends on.
	_ "github.com/fluxcd/helm-controller/api/v2"
	"sigs.k8s.io/controller-tools/pkg/crd"
	"sigs.k8s.io/controller-tools/pkg/genall"
)

// generateDefinitions writes the CustomResourceDefinitions of a package's types into a directory, as the
// project itself does.
func generateDefinitions(directory, typePackage string) error {
	generator := genall.Generator(crd.Generator{})
	run, err := genall.Generators{&generator}.ForRoots(typePackage)
	if err != nil {
		return err
	}
	run.OutputRules.Default = genall.OutputToDirectory(directory)
	if run.Run() {
		return errors.New("generating from " + typePackage + " failed")
	}
	return nil
}
