# What a release takes beside the image: a bill of materials, workflows that hold, and a look at the real DigitalOcean.
# Included by the Makefile, beside testbed/tools.mk; paths are relative to the root.

CARGO_CYCLONEDX_VERSION := 0.5.9
SBOM ?= $(or $(CARGO_TARGET_DIR),target)/do-cluster-access.cdx.json

.PHONY: lint-packaging sbom live

# shellcheck, where there is one, looks at the scripts, and through actionlint at those within workflows.
lint-packaging: .tools/bin/actionlint $(CHART_PYTHON)/.installed ## workflows: syntax, pinned actions; scripts
	@.tools/bin/actionlint
	@$(CHART_PYTHON)/bin/yamllint --strict --config-file .yamllint.yaml .github
	@! grep -nE 'uses: ' .github/workflows/*.yml | grep -vE 'uses: (\./|[^@]+@[0-9a-f]{40} # v[0-9.]+$$)' || \
	    { echo 'an action is pinned by commit, with its version behind it' >&2; exit 1; }
	@if command -v shellcheck >/dev/null; then shellcheck packaging/*.sh; \
	    else echo '*** shellcheck is missing: scripts are not checked (Debian and Ubuntu: apt-get install shellcheck)'; fi

.tools/bin/actionlint: packaging/tools/go.mod packaging/tools/go.sum
	@sh testbed/tools/build.sh "actionlint" "half a minute" packaging/tools -o $(CURDIR)/$@ \
	    -ldflags "-s -w" github.com/rhysd/actionlint/cmd/actionlint
	@touch $@

sbom: .tools/bin/cargo-cyclonedx ## the bill of materials of the program, CycloneDX (SBOM=target/do-cluster-access.cdx.json)
	@packaging/sbom.sh .tools/bin/cargo-cyclonedx $(SBOM)

.tools/bin/cargo-cyclonedx: | need-cargo
	@echo "building cargo-cyclonedx $(CARGO_CYCLONEDX_VERSION), which takes about 3 minutes"
	@cargo install --quiet --locked --root .tools --version $(CARGO_CYCLONEDX_VERSION) cargo-cyclonedx

# Never part of a test: it mints tokens in a real account.
live: .tools/bin/controlplane .tools/bin/kubectl need-cargo ## the main job against the real DigitalOcean: DIGITALOCEAN_TOKEN=… make live CLUSTER=<name>
	@[ -n "$(CLUSTER)" ] || { packaging/live.sh none ""; }
	@[ -n "$$DIGITALOCEAN_TOKEN" ] || { packaging/live.sh none "$(CLUSTER)"; }
	@cargo build --locked --release
	@packaging/live.sh $(or $(CARGO_TARGET_DIR),target)/release/do-cluster-access "$(CLUSTER)"
