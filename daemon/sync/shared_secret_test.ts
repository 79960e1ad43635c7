import assert from "node:assert/strict";
import { PeerError } from "./peer_link.ts";
import { SharedSecret } from "./shared_secret.ts";
import { nodeName } from "./test_node.ts";

const NODE = { node: nodeName("a"), incarnation: "of a" };

Deno.test("SharedSecret takes a proof for the node and the address that were asked, and no other", async () => {
  const secret = await SharedSecret.of("a secret that is long enough");
  const other = await SharedSecret.of("another that is long enough");
  // What a daemon says that passes the questions on to the one that knows the secret.
  const passingOn = (by: SharedSecret, node = NODE) => ({
    prove: (nonce: Uint8Array) => by.prove(node, "10.0.0.2:1", nonce),
  });
  await secret.demand(passingOn(secret), NODE, "10.0.0.2:1");
  const refused = (error: unknown) => error instanceof PeerError && error.code === "refused";
  await assert.rejects(secret.demand(passingOn(secret), NODE, "10.0.0.66:1"), refused, "another address");
  await assert.rejects(secret.demand(passingOn(other), NODE, "10.0.0.2:1"), refused, "another secret");
  const b = { ...NODE, node: nodeName("b") };
  await assert.rejects(secret.demand(passingOn(secret), b, "10.0.0.2:1"), refused, "another node");
});
