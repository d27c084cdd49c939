# The Helm chart, its checks, and deploy/ which is generated from it. Included by the Makefile at the root, beside
# testbed/tools.mk, which has the rules for the programs in .tools/bin.

CHART := charts/do-cluster-access
CHART_HELM := .tools/bin/helm
CHART_KUBECONFORM := .tools/bin/kubeconform
CHART_KUBECTL := .tools/bin/kubectl
CHART_PYTHON := .tools/charts-venv
CHART_SCHEMAS := .tools/schemas
CHART_RENDERED := .tools/rendered
# Zero values set, and every combination in ci/.
CHART_COMBINATIONS := default $(patsubst $(CHART)/ci/%-values.yaml,%,$(wildcard $(CHART)/ci/*-values.yaml))
CHART_VALUES = $(if $(filter default,$(1)),,--values $(CHART)/ci/$(1)-values.yaml)
CHART_CONFORMS := $(CHART_KUBECONFORM) -strict -summary \
	-schema-location '$(CHART_SCHEMAS)/{{.ResourceKind}}{{.KindSuffix}}.json'

.PHONY: chart generate-deploy

chart: $(CHART_HELM) $(CHART_KUBECONFORM) $(CHART_KUBECTL) $(CHART_PYTHON)/.installed $(CHART_SCHEMAS)/.converted ## check the Helm chart and what is generated from it
	@$(CHART_PYTHON)/bin/yamllint --strict --config-file .yamllint.yaml charts deploy
	@mkdir -p $(CHART_RENDERED)
	$(foreach combination,$(CHART_COMBINATIONS),$(call chart-check,$(combination)))
	@PYTHONDONTWRITEBYTECODE=1 HELM=$(CHART_HELM) KUBECONFORM=$(CHART_KUBECONFORM) KUBECTL=$(CHART_KUBECTL) SCHEMAS=$(CHART_SCHEMAS) \
		$(CHART_PYTHON)/bin/python -m pytest -q -p no:cacheprovider charts/tests
	@echo 'deploy/install.yaml'
	$(call chart-deploy,$(CHART_RENDERED)/deploy)
	@$(CHART_CONFORMS) $(CHART_RENDERED)/deploy/install.yaml
	@diff -ru crds $(CHART)/files/crds || (echo 'the chart holds other CRDs than crds/: run `make generate-deploy`' >&2; exit 1)
	@diff -u deploy/install.yaml $(CHART_RENDERED)/deploy/install.yaml || \
		(echo 'deploy/install.yaml is not what the chart renders: run `make generate-deploy`' >&2; exit 1)

generate-deploy: $(CHART_HELM) $(CHART_PYTHON)/.installed ## generate the chart's CRDs and README, and deploy/install.yaml from the chart
	@rm -rf $(CHART)/files/crds
	@mkdir -p $(CHART)/files/crds
	@cp crds/*.yaml $(CHART)/files/crds/
	@$(CHART_PYTHON)/bin/python charts/readme.py $(CHART)
	$(call chart-deploy,deploy)

# Lints and renders one combination of values, and validates what came of it.
define chart-check
	@echo 'values: $(1)'
	@$(CHART_HELM) lint --strict --quiet $(call CHART_VALUES,$(1)) $(CHART)
	@$(CHART_HELM) template do-cluster-access $(CHART) --namespace do-cluster-access \
		$(call CHART_VALUES,$(1)) > $(CHART_RENDERED)/$(1).yaml
	@$(CHART_CONFORMS) $(CHART_RENDERED)/$(1).yaml

endef

# Writes install.yaml into a directory: the namespace and what the chart renders with no value set, without the
# labels that would claim that Helm manages it.
define chart-deploy
	@mkdir -p $(1)
	@$(CHART_HELM) template do-cluster-access $(CHART) --namespace do-cluster-access > $(1)/install.yaml.rendered
	@(echo '# Generated from $(CHART) by `make generate-deploy`: change the chart, not this file.' && \
		cat deploy/namespace.yaml && \
		grep -v -e '^ *helm\.sh/chart: ' -e '^ *app\.kubernetes\.io/managed-by: Helm$$' $(1)/install.yaml.rendered) \
		> $(1)/install.yaml.new
	@rm $(1)/install.yaml.rendered
	@mv $(1)/install.yaml.new $(1)/install.yaml
endef

$(CHART_PYTHON)/.installed: charts/requirements.txt
	@command -v python3 >/dev/null || { echo "python3 is missing: the checks of the chart need Python 3.10 or newer" >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2>/dev/null || { echo "python3 has no venv module: install it (Debian and Ubuntu: python3-venv)" >&2; exit 1; }
	@echo "installing the Python packages of $<"
	@python3 -m venv --clear $(CHART_PYTHON)
	@$(CHART_PYTHON)/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@

# The OpenAPI document of exactly the Kubernetes version that the testbed runs, and the Prometheus operator's definitions.
$(CHART_SCHEMAS)/.converted: charts/schemas.py testbed/controlplane/go.mod $(wildcard crds/*.yaml) .tools/crds $(CHART_PYTHON)/.installed
	@command -v go >/dev/null || { echo "go is missing: the Kubernetes schemas come from a Go module" >&2; exit 1; }
	@rm -rf $(CHART_SCHEMAS)
	@echo "converting the schemas of Kubernetes and of crds/"
	@go -C testbed/controlplane mod download k8s.io/kubernetes
	@$(CHART_PYTHON)/bin/python charts/schemas.py --into $(CHART_SCHEMAS) \
		--crd crds/*.yaml .tools/crds/monitoring.coreos.com_*.yaml --openapi \
		"$$(go -C testbed/controlplane list -m -f '{{.Dir}}' k8s.io/kubernetes)/api/openapi-spec/swagger.json"
	@touch $@
