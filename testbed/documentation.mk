# What the test of the documentation's manifests needs. Included by the Makefile, beside testbed/tools.mk.

.PHONY: foreign-crds

foreign-crds: $(TOOLS)/crds ## the CustomResourceDefinitions of Argo CD, Flux, Prometheus and others that documentation and chart have manifests for, in .tools/crds

$(TOOLS)/crds: $(call go-sources,testbed/crds)
	@command -v go >/dev/null || { echo "go is missing: it fetches the CustomResourceDefinitions that manifests of the documentation and the chart need" >&2; exit 1; }
	@echo "collecting the CustomResourceDefinitions for the documentation's manifests (half a minute the first time)"
	@mkdir -p $(TOOLS)
	@go run -C testbed/crds . $(CURDIR)/$@
	@touch $@
