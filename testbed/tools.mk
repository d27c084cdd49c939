# The programs that tests need, from pinned sources, in .tools. Included by the Makefile; paths are
# relative to the root.

TOOLS := .tools
GO_MODULES := $(patsubst %/go.mod,%,$(wildcard testbed/*/go.mod testbed/*/*/go.mod))

# $(call go-sources,MODULE): what a rebuild depends on
go-sources = $(addprefix $1/,go.mod go.sum) $(shell find $1 -name '*.go' ! -name '*_test.go')
# $(call go-version,MODULE,DEPENDENCY): the version that the module pins
go-version = $(shell awk '$$1 == "$2" && $$2 ~ /^v/ { print $$2; exit }' $1/go.mod)

# Programs that need no C library run on any image. One setting for build, vet and test: a package that
# was compiled with another is compiled again, and these are thousands.
export CGO_ENABLED := 0

.PHONY: tools python-tools lint-go test-go

tools: $(addprefix $(TOOLS)/bin/,controlplane kubectl helm kubeconform) ## the control plane, kubectl, helm and kubeconform, in .tools/bin

# Helm refuses an API server whose version it cannot parse, and only the release build sets one.
$(TOOLS)/bin/controlplane: kubernetes = $(call go-version,testbed/controlplane,k8s.io/kubernetes)
$(TOOLS)/bin/controlplane: version = $(subst ., ,$(kubernetes:v%=%))
$(TOOLS)/bin/controlplane: $(call go-sources,testbed/controlplane)
	@sh testbed/tools/build.sh "the control plane (Kubernetes $(kubernetes))" "7 minutes" \
	    testbed/controlplane -o $(CURDIR)/$@ -ldflags "-s -w \
	    -X k8s.io/component-base/version.gitVersion=$(kubernetes) \
	    -X k8s.io/component-base/version.gitMajor=$(word 1,$(version)) \
	    -X k8s.io/component-base/version.gitMinor=$(word 2,$(version))" .
	@touch $@

$(TOOLS)/bin/kubectl: $(TOOLS)/bin/controlplane
	@ln -sf controlplane $@

$(TOOLS)/bin/helm: version = $(call go-version,testbed/tools,helm.sh/helm/v4)
$(TOOLS)/bin/helm: $(call go-sources,testbed/tools)
	@sh testbed/tools/build.sh "helm $(version)" "2 minutes" \
	    testbed/tools -o $(CURDIR)/$@ \
	    -ldflags "-s -w -X helm.sh/helm/v4/internal/version.version=$(version)" helm.sh/helm/v4/cmd/helm
	@touch $@

$(TOOLS)/bin/kubeconform: version = $(call go-version,testbed/tools,github.com/yannh/kubeconform)
$(TOOLS)/bin/kubeconform: $(call go-sources,testbed/tools)
	@sh testbed/tools/build.sh "kubeconform $(version)" "half a minute" \
	    testbed/tools -o $(CURDIR)/$@ \
	    -ldflags "-s -w -X main.version=$(version)" github.com/yannh/kubeconform/cmd/kubeconform
	@touch $@

python-tools: $(TOOLS)/venv/installed ## the Python packages that tests need, in .tools/venv

$(TOOLS)/venv/installed: testbed/clients/requirements.txt
	@command -v python3 >/dev/null || { echo "python3 is missing: tests with Python clients need Python 3.10 or newer" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "python3 has no venv module: install it (Debian and Ubuntu: python3-venv)" >&2; exit 1; }
	@echo "installing the Python packages of $<"
	@python3 -m venv --clear $(TOOLS)/venv
	@$(TOOLS)/venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# Both compile what they look at, and the control plane is most of it: build that with progress first.
lint-go: $(TOOLS)/bin/controlplane ## gofmt and go vet
	@unformatted=$$(gofmt -l $(GO_MODULES)); [ -z "$$unformatted" ] || { echo "not as gofmt would have it: $$unformatted" >&2; exit 1; }
	@for module in $(filter-out testbed/tools,$(GO_MODULES)); do (cd $$module && go vet ./...) || exit 1; done

test-go: $(TOOLS)/bin/controlplane ## the tests of the Go programs
	@for module in $(filter-out testbed/tools,$(GO_MODULES)); do (cd $$module && go test -vet=off ./...) || exit 1; done
