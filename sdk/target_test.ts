import assert from "node:assert/strict";
import { connectorOf } from "./target.ts";

for (
  const target of ["127.0.0.1:50051", "localhost:1", "[::1]:50051", "http://host:80/", "unix:/run/m.sock"]
) {
  Deno.test(`connectorOf takes "${target}"`, () => {
    assert.equal(typeof connectorOf(target), "function");
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
  "https://host:443": /this version has no TLS/,
};

for (const [target, why] of Object.entries(REFUSED)) {
  Deno.test(`connectorOf refuses "${target}" with TypeError`, () => {
    assert.throws(
      () => connectorOf(target),
      (error) => error instanceof TypeError && why.test(error.message),
    );
  });
}
