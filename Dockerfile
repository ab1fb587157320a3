# The image of the host: the binary, the `git` and `ssh` it calls, certificates, and the libraries of these;
# no package manager, and a shell only because git starts ssh by one.
#
#   docker compose build                                            compiles it in a container
#   docker build --build-arg BINARY=prebuilt .                      takes deploy/bin/exomonad, built outside
#
# deploy/bin/exomonad has to be built on Debian 12, or anything with a glibc no newer than its 2.36.

# Where the binary comes from: the stage `build` or the stage `prebuilt`.
ARG BINARY=build

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
# For `exomonad --version`: the repository itself is not here.
ARG REVISION=unknown
# The caches outlive the build, so that the next one compiles what has changed.
RUN --mount=type=cache,id=exomonad-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=exomonad-target,target=/src/target \
    EXOMONAD_COMMIT=$REVISION cargo build --profile dist --locked --bin exomonad && \
    strip --strip-debug -o /exomonad target/dist/exomonad

FROM scratch AS prebuilt
COPY deploy/bin/exomonad /exomonad

FROM ${BINARY} AS binary

FROM debian:bookworm-slim AS system
RUN apt-get update && \
    apt-get install -y --no-install-recommends ca-certificates git openssh-client zlib1g && \
    rm -rf /var/lib/apt/lists/*
COPY deploy/gather-system /usr/local/bin/gather-system
RUN gather-system /gathered

FROM scratch
COPY --from=system /gathered/ /
COPY --from=binary /exomonad /usr/bin/exomonad
ENV PATH=/usr/bin HOME=/home/exomonad \
    # Beyond this loopback address: a token is wanted.
    EXOMONAD_LISTEN=0.0.0.0:7432 \
    EXOMONAD_PLUGINS_DIR=/plugins \
    EXOMONAD_STATE_DIR=/data/state \
    EXOMONAD_CACHE_DIR=/data/cache \
    # The key of the cache is kept in there.
    XDG_STATE_HOME=/data
USER 10001:10001
WORKDIR /work
VOLUME /data
EXPOSE 7432
HEALTHCHECK --interval=5s --timeout=3s CMD ["exomonad", "doctor", "--quick"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["exomonad"]
CMD ["serve"]
# Last, so that nothing is built anew for a new version's name.
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="exomonad" \
      org.opencontainers.image.description="A host for WASM plugins that serve AI agents: the plugin decides, the host acts." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
