# syntax=docker/dockerfile:1

# The bindings of libav and libsrt are made from the installed headers: both stages are Debian 12.
FROM rust:1.95-bookworm AS build
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libavcodec-dev libavformat-dev libavutil-dev libavfilter-dev libswscale-dev libswresample-dev \
        libsrt-gnutls-dev clang libclang-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target \
    cargo build --release --locked --bin policast \
    && install -Dm755 target/release/policast /out/policast

FROM debian:12-slim
LABEL org.opencontainers.image.title="policast" \
      org.opencontainers.image.description="Video publishing for government agencies' policy explainers" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-or-later AND MPL-2.0"
RUN apt-get update \
    && apt-get install -y --no-install-recommends \
        libavcodec59 libavformat59 libavutil57 libavfilter8 libswscale6 libswresample4 \
        libsrt1.5-gnutls ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin policast \
    && install -d -o policast -g policast /data
COPY --from=build /out/policast /usr/local/bin/policast
COPY LICENSE /usr/share/doc/policast/LICENSE
USER policast
# In a container the world is outside: listen on every address, not on the loopback alone. Whoever listens on another
# port sets POLICAST_URL beside it, which the health check asks.
ENV POLICAST_DATA_DIR=/data \
    POLICAST_LISTEN=0.0.0.0:8080 \
    POLICAST_S3_LISTEN=0.0.0.0:8081 \
    POLICAST_RTMP_LISTEN=0.0.0.0:1935
VOLUME /data
EXPOSE 8080 8081 1935
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["policast", "health"]
ENTRYPOINT ["policast"]
CMD ["serve"]
