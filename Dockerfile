# syntax=docker/dockerfile:1
# Builds for the platform it is built for: docker buildx build --platform linux/amd64,linux/arm64 .

FROM --platform=$BUILDPLATFORM denoland/deno:2.9.6 AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
RUN case "$TARGETARCH" in arm64) task=compile:arm64 ;; *) task=compile ;; esac \
  && deno task "$task" \
  && mv dist/msgbusd* /msgbusd \
  && mkdir -m 0700 /state

# glibc and nothing else: no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /msgbusd /usr/bin/msgbusd
COPY --from=build --chown=nonroot:nonroot /state /var/lib/msgbus
# Who reaches the port is said by how it is published (-p 127.0.0.1:50051:50051), or by MSGBUS_TLS_CERT and _KEY; with
# these, keep an address for the health check: MSGBUS_LISTEN=http://127.0.0.1:50051,0.0.0.0:50052
ENV MSGBUS_DATA=/var/lib/msgbus/msgbus.sqlite \
  MSGBUS_LISTEN=0.0.0.0:50051 \
  MSGBUS_INSECURE=true
VOLUME /var/lib/msgbus
EXPOSE 50051
USER nonroot
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/bin/msgbusd", "ready"]
ENTRYPOINT ["/usr/bin/msgbusd"]
CMD ["serve"]
