import assert from "node:assert/strict";
import { isLocalOnly, listenAddress, parseListenRequest } from "./listen_address.ts";
import { formatNetworkAddress, parseNetworkAddress } from "./network_address.ts";
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
  Deno.test(`formatNetworkAddress gives back what parseNetworkAddress read: ${text}`, () => {
    const address = parseNetworkAddress(text);
    if (typeof address === "string") return assert.fail(address);
    assert.equal(formatNetworkAddress(address), text);
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

for (
  const [text, hasCertificate, secure] of [
    ["127.0.0.1:1", false, false],
    ["127.0.0.1:1", true, true],
    ["http://127.0.0.1:1", true, false],
    ["https://127.0.0.1:1", false, true],
    ["unix:/s", true, false],
  ] as const
) {
  Deno.test(`listenAddress makes ${text} ${secure ? "TLS" : "plain"} ${hasCertificate ? "with" : "without"} a certificate`, () => {
    const request = parseListenRequest(text);
    if (typeof request === "string") return assert.fail(request);
    assert.equal(listenAddress(request, hasCertificate).secure, secure);
  });
}

Deno.test("parseListenRequest refuses a scheme before a unix socket", () => {
  assert.equal(parseListenRequest("https://unix:/s"), "a unix socket has no scheme");
});

Deno.test("isLocalOnly takes no name that only looks like a loopback address", () => {
  const local = ["127.0.0.1", "127.255.1.2", "::1", "localhost"];
  const remote = [
    "127.evil.example",
    "127.0.0.1.example",
    "0.0.0.0",
    "::",
    "::ffff:127.0.0.1",
    "10.0.0.1",
    "box",
  ];
  for (const hostname of [...local, ...remote]) {
    assert.equal(isLocalOnly({ kind: "tcp", hostname, port: 1 }), local.includes(hostname), hostname);
  }
});
