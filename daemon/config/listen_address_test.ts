import assert from "node:assert/strict";
import { formatListenAddress, parseListenAddress } from "./listen_address.ts";
import { parsePeerAddress } from "./peer_address.ts";

for (
  const text of [
    "127.0.0.1:0",
    "[::1]:50051",
    "[fe80::1%eth0]:1",
    "my_host.local:65535",
    "unix:/run/a b.sock",
  ]
) {
  Deno.test(`formatListenAddress gives back what parseListenAddress read: ${text}`, () => {
    const address = parseListenAddress(text);
    if (typeof address === "string") return assert.fail(address);
    assert.equal(formatListenAddress(address), text);
  });
}

Deno.test("parsePeerAddress cuts the identity off the endpoint and keeps the endpoint as it was given", () => {
  assert.deepEqual(parsePeerAddress("https://[::1]:5/=t/b/d=1"), {
    endpoint: "https://[::1]:5/",
    address: { kind: "tcp", hostname: "::1", port: 5 },
    secure: true,
    identity: { tenantId: "t", blName: "b", deviceId: "d=1" },
  });
  assert.deepEqual(parsePeerAddress("unix:/s"), {
    endpoint: "unix:/s",
    address: { kind: "unix", path: "/s" },
    secure: false,
    identity: undefined,
  });
});

for (
  const [text, problem] of [["h:0", "the port is 0"], ["h:1=", "the identity is not tenant/bl/device"], [
    "h:1=t/b/d/e",
    "the identity is not tenant/bl/device",
  ], ["ftp://h:1", "it is not host:port, [v6]:port or unix:/path"]] as const
) {
  Deno.test(`parsePeerAddress refuses "${text}"`, () => {
    assert.equal(parsePeerAddress(text), problem);
  });
}
