# The image. Included by the Makefile, beside testbed/tools.mk; paths are relative
# to the root.

IMAGE := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/image
IMAGE_NAME := ghcr.io/do-cluster-access/do-cluster-access
VERSION = $(shell awk -F '"' '/^version = / { print $$2; exit }' Cargo.toml)

.PHONY: image test-image need-buildah

image: need-cargo need-buildah ## the image of this machine's architecture, without Docker or a registry: an OCI layout and an archive
	@echo "building the operator as a static program (7 minutes on 2 cores the first time)"
	@program=$$(packaging/build-static.sh) && packaging/image.sh "$$program" $(IMAGE) $(IMAGE_NAME) $(VERSION)
	@echo "$(IMAGE)/oci                      to copy: skopeo copy oci:$(IMAGE)/oci docker://…"
	@echo "$(IMAGE)/do-cluster-access.tar    to load: docker load --input …, kind load image-archive …"

# Built outside, where there is a network; run apart from it.
test-image: image .tools/bin/controlplane .tools/bin/kubectl .tools/bin/helm ## the image, run as the kubelet would: read-only, as uid 65532, on a real API server
	cargo test --locked --no-run --test integration
	DO_CLUSTER_ACCESS_IMAGE=$(IMAGE)/oci packaging/apart.sh cargo test --locked --offline --test integration -- image::

# What Debian and Ubuntu call them; newuidmap is for those who are not root.
need-buildah:
	@packaging/need.sh buildah=buildah ip=iproute2 newuidmap=uidmap
