# Prometheus and promtool, of Debian's package, in .tools. Included by the Makefile, beside testbed/tools.mk.
# Nothing is installed and nothing is started: the package is fetched by apt, which checks its signature, and unpacked.

# The version that the tests were written with. A release of Debian or Ubuntu has one version for good; another
# release has another, and that one is taken there.
PROMETHEUS_VERSION := 2.42.0

.PHONY: prometheus

prometheus: $(TOOLS)/bin/promtool ## Prometheus and promtool, in .tools/bin

$(TOOLS)/bin/prometheus $(TOOLS)/bin/promtool &: testbed/tools/prometheus.sh
	@sh testbed/tools/prometheus.sh $(PROMETHEUS_VERSION) $(CURDIR)/$(TOOLS)

# Tests run them.
test-rust: $(TOOLS)/bin/promtool
chart: $(TOOLS)/bin/promtool
