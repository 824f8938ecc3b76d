# syntax=docker/dockerfile:1

# One image for each program, chosen by target: docker build --target ingest -t headwater/ingest .
# Everything is built once, in the first stage; an image holds its program, the licences, and nothing to run beside it.
# tests/checks/dockerfile.py holds this file against the workspace; .github/workflows/checks.yml builds it.

# What all images stand on: glibc and CA certificates of Debian 13, no shell, no OpenSSL, a user 65532.
# The tag moves as Debian mends things. To pin it, give the digest, which is one for all processors, behind the tag:
#   docker buildx imagetools inspect gcr.io/distroless/base-nossl-debian13:nonroot      (the line `Digest:`)
#   docker build --build-arg BASE=gcr.io/distroless/base-nossl-debian13:nonroot@sha256:<digest> …
# A release looks it up once and builds all its images on that: .github/workflows/images.yml.
ARG BASE=gcr.io/distroless/base-nossl-debian13:nonroot

# Debian 12, older than the base: what is linked against its glibc runs on every newer one.
FROM rust:1.95.0-slim-bookworm AS builder
# gcc, which zstd and ring are compiled with, is part of the image.
WORKDIR /src
COPY . .
# The caches outlive a build, and with it the programs in them: hence the copy to out/ in the same step.
# libgcc, which unwinds the stack of a panic, is the one library of the programs that the base does not have.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --profile dist --locked \
        -p ingest -p batch-consumer -p aggregator -p query -p alerts -p simulator -p judge -p local-aws \
        -p mqtt-bridge -p headwater --features headwater/sql \
    && mkdir out out/spill out/data \
    && cp target/dist/ingest target/dist/batch-consumer target/dist/aggregator target/dist/query \
        target/dist/alerts target/dist/simulator target/dist/judge target/dist/local-aws \
        target/dist/mqtt-bridge target/dist/headwater out/ \
    && cp "$(gcc -print-file-name=libgcc_s.so.1)" out/libgcc_s.so.1 \
    && cp /usr/share/doc/gcc-12-base/copyright out/libgcc.copyright

FROM ${BASE} AS runtime
# The base's own user, said again so that no other base makes it root.
USER 65532:65532
COPY --from=builder /src/out/libgcc_s.so.1 /usr/lib/libgcc_s.so.1
COPY --from=builder /src/out/libgcc.copyright /usr/share/doc/libgcc-s1/copyright
# Of Headwater, and of the crates that are part of its programs.
COPY LICENSE licences/third-party.txt /usr/share/doc/headwater/

# No program writes to its file system but where its settings say (aggregator: SPILL_DIR; judge: --ledger; local-aws:
# --data), /tmp included: run them with --read-only. Health checks are the program itself, as there is nothing else that could ask. They are Docker's;
# compose has its own, and ECS knows none but those of the task definition (held together by
# tests/checks/check_terraform.py).

FROM runtime AS ingest
COPY --from=builder /src/out/ingest /usr/local/bin/ingest
ENV LISTEN=0.0.0.0:3000
ENV METRICS_LISTEN=0.0.0.0:9100
EXPOSE 3000
EXPOSE 9100
HEALTHCHECK --interval=15s --timeout=6s --retries=3 --start-period=30s CMD ["/usr/local/bin/ingest", "health"]
ENTRYPOINT ["/usr/local/bin/ingest"]

FROM runtime AS batch-consumer
COPY --from=builder /src/out/batch-consumer /usr/local/bin/batch-consumer
ENV METRICS_LISTEN=0.0.0.0:9101
EXPOSE 9101
HEALTHCHECK --interval=15s --timeout=6s --retries=3 --start-period=30s CMD ["/usr/local/bin/batch-consumer", "health"]
ENTRYPOINT ["/usr/local/bin/batch-consumer"]

FROM runtime AS aggregator
COPY --from=builder /src/out/aggregator /usr/local/bin/aggregator
# The one folder that a service writes to, for what does not fit memory. A volume, so that it is there, and the user's,
# also where the file system is read-only; ECS gives the volume of its task definition this owner.
COPY --from=builder --chown=65532:65532 /src/out/spill /var/spill
VOLUME ["/var/spill"]
ENV SPILL_DIR=/var/spill
ENV METRICS_LISTEN=0.0.0.0:9102
EXPOSE 9102
# Bare it runs once and ends, and only `watch` listens: an orchestrator that restarts what is unhealthy would kill a long
# `once` or `rebuild`. Whoever starts `watch` gives it the check `aggregator health`, as compose does.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/aggregator"]

FROM runtime AS query
COPY --from=builder /src/out/query /usr/local/bin/query
ENV LISTEN=0.0.0.0:3002
ENV PG_LISTEN=0.0.0.0:5433
ENV METRICS_LISTEN=0.0.0.0:9103
EXPOSE 3002
EXPOSE 5433
EXPOSE 9103
HEALTHCHECK --interval=15s --timeout=6s --retries=3 --start-period=30s CMD ["/usr/local/bin/query", "health"]
ENTRYPOINT ["/usr/local/bin/query"]

FROM runtime AS alerts
COPY --from=builder /src/out/alerts /usr/local/bin/alerts
ENV LISTEN=0.0.0.0:3003
ENV METRICS_LISTEN=0.0.0.0:9104
EXPOSE 3003
EXPOSE 9104
HEALTHCHECK --interval=15s --timeout=6s --retries=3 --start-period=30s CMD ["/usr/local/bin/alerts", "health"]
ENTRYPOINT ["/usr/local/bin/alerts"]

FROM runtime AS mqtt-bridge
COPY --from=builder /src/out/mqtt-bridge /usr/local/bin/mqtt-bridge
ENV METRICS_LISTEN=0.0.0.0:9105
EXPOSE 9105
HEALTHCHECK --interval=15s --timeout=6s --retries=3 --start-period=30s CMD ["/usr/local/bin/mqtt-bridge", "health"]
ENTRYPOINT ["/usr/local/bin/mqtt-bridge"]

FROM runtime AS simulator
COPY --from=builder /src/out/simulator /usr/local/bin/simulator
# It serves nothing that could be asked.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/simulator"]

# Not services: the check of what was accepted against the lake, and the emulation for development.
FROM runtime AS judge
COPY --from=builder /src/out/judge /usr/local/bin/judge
# It runs once and ends.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/judge"]

FROM runtime AS local-aws
COPY --from=builder /src/out/local-aws /usr/local/bin/local-aws
ENV LISTEN=0.0.0.0:4566
# What of it is published is for whoever runs the container to say.
ENV ALLOW_REMOTE=true
EXPOSE 4566
# Nothing in production waits for it, and it has no command that asks.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/local-aws"]

# The whole pipeline in one process, its emulation of SQS and S3 included: to try it. It asks for HEADWATER_API_KEY.
FROM runtime AS headwater
COPY --from=builder /src/out/headwater /usr/local/bin/headwater
COPY --from=builder --chown=65532:65532 /src/out/data /data
VOLUME ["/data"]
ENV HEADWATER_DATA=/data
ENV HEADWATER_LISTEN=0.0.0.0:3000
ENV PG_LISTEN=0.0.0.0:5433
ENV METRICS_LISTEN=0.0.0.0:9100
EXPOSE 3000
EXPOSE 5433
EXPOSE 9100
# It has no command that asks; GET /health of the port 3000 does.
HEALTHCHECK NONE
ENTRYPOINT ["/usr/local/bin/headwater"]
CMD ["serve"]
