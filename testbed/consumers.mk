# Programs that read Secrets with the code of those who consume them, one Go module each, since their
# Kubernetes versions differ. Included by the Makefile, after testbed/tools.mk.

CONSUMERS := $(addprefix $(TOOLS)/bin/consumer-,argocd flux clusterapi clientgo)

.PHONY: consumers

consumers: $(CONSUMERS) ## programs that read Secrets as Argo CD, Flux, Cluster API and others do

# Tests run them, and what checks the sources compiles them: better with progress, and once.
test-rust lint-go test-go: $(CONSUMERS)

# It depends on nothing, and so has no go.sum.
consumer-probe := $(filter-out %/go.sum,$(call go-sources,testbed/consumers/probe))

# $(call build-consumer,WHAT,USUALLY,MODULE)
define build-consumer
@sh testbed/tools/build.sh "$1" "$2" $3 -o $(CURDIR)/$@ -ldflags "-s -w" .
@touch $@
endef

$(TOOLS)/bin/consumer-argocd: version = $(call go-version,testbed/consumers/argocd,github.com/argoproj/argo-cd/v3)
$(TOOLS)/bin/consumer-argocd: $(call go-sources,testbed/consumers/argocd) $(consumer-probe)
	$(call build-consumer,a consumer that is Argo CD $(version),3 minutes,testbed/consumers/argocd)

$(TOOLS)/bin/consumer-flux: version = $(call go-version,testbed/consumers/flux,github.com/fluxcd/pkg/runtime)
$(TOOLS)/bin/consumer-flux: $(call go-sources,testbed/consumers/flux) $(consumer-probe)
	$(call build-consumer,a consumer that is Flux (runtime $(version)),a minute,testbed/consumers/flux)

$(TOOLS)/bin/consumer-clusterapi: version = $(call go-version,testbed/consumers/clusterapi,sigs.k8s.io/cluster-api)
$(TOOLS)/bin/consumer-clusterapi: $(call go-sources,testbed/consumers/clusterapi) $(consumer-probe)
	$(call build-consumer,a consumer that is Cluster API $(version),a minute,testbed/consumers/clusterapi)

$(TOOLS)/bin/consumer-clientgo: version = $(call go-version,testbed/consumers/clientgo,k8s.io/client-go)
$(TOOLS)/bin/consumer-clientgo: $(call go-sources,testbed/consumers/clientgo) $(consumer-probe)
	$(call build-consumer,a consumer with client-go $(version),half a minute,testbed/consumers/clientgo)
