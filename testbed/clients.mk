# The simulator before DigitalOcean's own clients and its OpenAPI document. Included by the Makefile.

.PHONY: test-clients

# The build is a step of its own, so that its progress is seen.
test-clients: $(TOOLS)/venv/installed need-cargo ## godo, pydo and the OpenAPI check against the simulator
	@command -v go >/dev/null || { echo "go is missing: install Go 1.25 or newer" >&2; exit 1; }
	cargo build --locked --package do-cluster-access-testbed
	PYTHONDONTWRITEBYTECODE=1 $(TOOLS)/venv/bin/pytest --quiet -p no:cacheprovider testbed/clients
