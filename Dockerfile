# The operator's image: one static program, the certificate authorities that it trusts, licences, and nothing else.
#
#   docker build --tag do-cluster-access .
#
# `make image` makes the same image without Docker, and without pulling anything: it builds on the machine itself
# and then runs the last stage below. What differs is where the compiler came from.

FROM docker.io/library/rust:1.95.0-slim-bookworm AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends binutils ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN packaging/root-file-system.sh "$(packaging/build-static.sh)" /root-file-system

FROM scratch
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="do-cluster-access" \
      org.opencontainers.image.description="Keeps credentials of DigitalOcean Kubernetes clusters valid in Secrets" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# What is longer, the page of a list, say, goes back to the kernel as soon as it is read. By itself, glibc takes the first
# such text for what is usual, and keeps the next ones among what lives long.
ENV GLIBC_TUNABLES=glibc.malloc.mmap_threshold=65536
COPY --from=build /root-file-system /
# Nobody in particular; by number, so that the kubelet can tell that it is not root.
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/do-cluster-access"]
CMD ["run"]
