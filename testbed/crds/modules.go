package main

// A module is a release of a project, as the Go module proxy has it.
type module struct {
	path    string
	version string
	// sum is the module's checksum, as in a go.sum.
	sum string
	// definitions are the files with the CustomResourceDefinitions that the documentation and the chart use.
	definitions []string
}

// modules are not required in go.mod: only files of theirs are wanted, and the versions of their
// dependencies could not be reconciled.
var modules = []module{
	{
		path:    "github.com/argoproj/argo-cd/v3",
		version: "v3.2.0",
		sum:     "h1:m2eGAV+nXQGgzZbH5SyJD5laaPW27mzWXBrgisUHY/0=",
		definitions: []string{
			"manifests/crds/application-crd.yaml",
			"manifests/crds/applicationset-crd.yaml",
			"manifests/crds/appproject-crd.yaml",
		},
	},
	{
		path:        "github.com/fluxcd/kustomize-controller",
		version:     "v1.9.6",
		sum:         "h1:XB+G3A0mky0j5uVHZWv4oSlS2RvZBoNIUhstIvY0JKE=",
		definitions: []string{"config/crd/bases/kustomize.toolkit.fluxcd.io_kustomizations.yaml"},
	},
	{
		path:    "github.com/fluxcd/source-controller",
		version: "v1.9.6",
		sum:     "h1:nG534/bI6nVpyHra7ONAk6xDB3xPsVT+EOLHZHXPrrc=",
		definitions: []string{
			"config/crd/bases/source.toolkit.fluxcd.io_gitrepositories.yaml",
			"config/crd/bases/source.toolkit.fluxcd.io_helmrepositories.yaml",
		},
	},
	{
		path:    "github.com/prometheus-operator/prometheus-operator",
		version: "v0.85.0",
		sum:     "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
		definitions: []string{
			"example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
			"example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
		},
	},
	{
		path:        "sigs.k8s.io/cluster-api",
		version:     "v1.14.2",
		sum:         "h1:o3GFNaeNFAOEEMpDPfhCK+2CjmV6gtQ8yLEcUwCg7bA=",
		definitions: []string{"core/config/crd/bases/cluster.x-k8s.io_clusters.yaml"},
	},
	{
		path:    "github.com/crossplane-contrib/provider-kubernetes",
		version: "v1.3.1",
		sum:     "h1:hiTNUET9DJDb9dl87oIyEXvRdxJtef3qswd16AI3CQs=",
		definitions: []string{
			"package/crds/kubernetes.crossplane.io_providerconfigs.yaml",
			"package/crds/kubernetes.m.crossplane.io_clusterproviderconfigs.yaml",
			"package/crds/kubernetes.m.crossplane.io_providerconfigs.yaml",
		},
	},
}

// typePackages hold types from which a project makes its CustomResourceDefinitions, for projects whose
// definitions are in no module. They are required in go.mod.
var typePackages = []string{"github.com/fluxcd/helm-controller/api/v2"}
