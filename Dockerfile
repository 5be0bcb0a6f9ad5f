# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --package recapd && cp target/release/recapd /recapd

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --create-home --home-dir /data recapd
COPY --from=build /recapd /usr/local/bin/recapd

USER recapd
VOLUME /data
EXPOSE 7878

# Beyond loopback recapd demands a key: mount it and, where it lies elsewhere, say where.
ENV RECAPD_LISTEN=0.0.0.0:7878 \
    RECAPD_DATA_DIR=/data \
    RECAPD_AUTH__KEY_FILE=/run/secrets/recapd_key

HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["recapd", "doctor", "--url", "http://127.0.0.1:7878"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["recapd"]
CMD ["serve"]
