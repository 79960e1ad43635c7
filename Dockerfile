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
ENV MSGBUS_DATA=/var/lib/msgbus/msgbus.sqlite \
  MSGBUS_LISTEN=0.0.0.0:50051
VOLUME /var/lib/msgbus
EXPOSE 50051
USER nonroot
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/usr/bin/msgbusd", "ready"]
ENTRYPOINT ["/usr/bin/msgbusd"]
CMD ["serve"]
