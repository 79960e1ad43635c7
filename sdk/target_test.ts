import assert from "node:assert/strict";
import { parseTarget } from "./target.ts";

for (
  const target of [
    "127.0.0.1:50051",
    "localhost:1",
    "[::1]:50051",
    "http://host:80/",
    "unix:/run/m.sock",
    "ws://host",
    "ws://[::1]:50052/bus?x=1",
  ]
) {
  Deno.test(`parseTarget takes "${target}" and asks for no TLS`, () => {
    assert.equal(parseTarget(target).scheme, "http");
  });
}

const REFUSED: Readonly<Record<string, RegExp>> = {
  "": /it names no host and port/,
  "host": /it names no host and port/,
  "host:": /it names no host and port/,
  ":50051": /it names no host and port/,
  "::1:50051": /it names no host and port/,
  "host:0": /it names no host and port/,
  "host:65536": /it names no host and port/,
  "host:1/path": /it names no host and port/,
  "unix:": /the path is missing/,
  "https://host": /it names no host and port/,
  "ftp://host:1": /it names no host and port/,
  "ws://": /it names no host and port/,
  "ws://host:65536": /it names no host and port/,
  "ws://host:0": /it names no host and port/,
  "ws://name:secret@host": /a name and a password have no meaning/,
  "quic://host": /it names no host and port/,
  "wss://host/#x": /no fragment/,
};

for (const [target, why] of Object.entries(REFUSED)) {
  Deno.test(`parseTarget refuses "${target}" with TypeError`, () => {
    assert.throws(
      () => parseTarget(target),
      (error) => error instanceof TypeError && why.test(error.message),
    );
  });
}

Deno.test("parseTarget takes TLS from the scheme or from the option, and calls the daemon without the scheme", () => {
  for (
    const [target, tls] of [
      ["https://[::1]:50051/", undefined],
      ["https://[::1]:50051", {}],
      ["[::1]:50051", true],
      ["[::1]:50051", { serverName: "bus" }],
      ["wss://[::1]:50051/bus", undefined],
      ["wss://[::1]:50051", { serverName: "bus" }],
      ["quic://[::1]:50051", { serverName: "bus" }],
    ] as const
  ) {
    const { scheme, authority } = parseTarget(target, tls);
    assert.deepEqual([scheme, authority], ["https", "[::1]:50051"]);
  }
  assert.equal(parseTarget("host:1", false).scheme, "http");
});

for (
  const [target, tls, why] of [
    ["unix:/run/m.sock", true, /a unix socket has no TLS/],
    ["http://host:1", { ca: "x" }, /http:\/\/ is without TLS/],
    ["https://host:1", false, /https:\/\/ is with TLS/],
    ["ws://host:1", { ca: "x" }, /ws:\/\/ is without TLS/],
    ["quic://host:1", false, /quic:\/\/ is with TLS/],
    ["quic://host:1", { cert: "x", key: "x" }, /can't show a client certificate/],
    ["wss://host:1", false, /wss:\/\/ is with TLS/],
    ["wss://host:1", { cert: "x" }, /tls\.key is missing/],
    ["host:1", { cert: "x" }, /tls\.key is missing/],
    ["host:1", { key: "x" }, /tls\.cert is missing/],
  ] as const
) {
  Deno.test(`parseTarget refuses "${target}" with ${JSON.stringify(tls)}`, () => {
    assert.throws(
      () => parseTarget(target, tls),
      (error) => error instanceof TypeError && why.test(error.message),
    );
  });
}
