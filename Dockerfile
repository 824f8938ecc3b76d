# syntax=docker/dockerfile:1

# One image per service, chosen by target: docker build --target ingest -t headwater/ingest .
# Everything is built once, in the first stage; a service's image holds its binary and nothing to run beside it.

FROM rust:1.95.0-slim-bookworm AS builder
# gcc, which zstd and ring are compiled with, is part of the image.
WORKDIR /src
COPY . .
# The caches outlive a build, and with it the binaries in them: hence the copy to /out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target,sharing=locked \
    cargo build --release --locked \
        -p ingest -p batch-consumer -p aggregator -p simulator -p judge -p local-aws \
    && mkdir /out \
    && cp target/release/ingest target/release/batch-consumer target/release/aggregator \
        target/release/simulator target/release/judge target/release/local-aws /out/

# glibc and CA certificates of the same Debian as the builder's, no shell, user 65532.
FROM gcr.io/distroless/cc-debian12:nonroot AS runtime

FROM runtime AS ingest
COPY --from=builder /out/ingest /usr/local/bin/ingest
EXPOSE 3000
ENTRYPOINT ["/usr/local/bin/ingest"]

FROM runtime AS batch-consumer
COPY --from=builder /out/batch-consumer /usr/local/bin/batch-consumer
EXPOSE 9101
ENTRYPOINT ["/usr/local/bin/batch-consumer"]

FROM runtime AS aggregator
COPY --from=builder /out/aggregator /usr/local/bin/aggregator
EXPOSE 9102
ENTRYPOINT ["/usr/local/bin/aggregator"]

FROM runtime AS simulator
COPY --from=builder /out/simulator /usr/local/bin/simulator
ENTRYPOINT ["/usr/local/bin/simulator"]

# Not services: the check of what was accepted against the lake, and the emulation for development.
FROM runtime AS judge
COPY --from=builder /out/judge /usr/local/bin/judge
ENTRYPOINT ["/usr/local/bin/judge"]

FROM runtime AS local-aws
COPY --from=builder /out/local-aws /usr/local/bin/local-aws
EXPOSE 4566
ENTRYPOINT ["/usr/local/bin/local-aws"]
