/** Peers that say what is wrong, too much, or nothing: they harm nobody but themselves. */
import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { SyncRequestSchema } from "@msgbus/proto";
import type { PeerSyncState } from "../store/store.ts";
import { eventually, nodeName, TestNode } from "./test_node.ts";
import { TestPeer } from "./test_peer.ts";

const PEER = "peer";
const MAX_REQUEST_BYTES = 4 << 20;

function follow(node: TestNode, peer: TestPeer): Promise<void> {
  return node.sync.add({
    peer: PEER,
    dial: () => Promise.resolve(peer),
    identity: undefined,
    include: [],
    exclude: [],
  });
}

Deno.test("StreamSession asks for everything where the logs that it lacks do not fit into a hello", async () => {
  await using b = await TestNode.start("b");
  const states = Array.from({ length: 4_500 }, (_, at): PeerSyncState => ({
    peer: PEER,
    topic: `${at}${"t".repeat(1_000)}`,
    origin: nodeName("origin"),
    localHead: 0,
    remoteHead: 1,
    lastSyncedHead: 0,
    lastAttemptAtMs: 0,
    lastSuccessAtMs: 0,
    consecutiveFailures: 0,
    lastError: "",
    localIncarnation: "",
    remoteIncarnation: "x",
    fork: "none",
  }));
  await b.store.recordPeerSync(states, { peer: PEER, incarnation: "x", sequence: 7, messageId: "m" });
  const peer = new TestPeer();
  await follow(b, peer);
  await eventually(() => peer.requests.length > 0, "it says hello");
  const [request] = peer.requests;
  assert.equal(request?.case, "hello");
  assert.ok(request.case === "hello" && request.value.after === undefined, "it is told of everything");
  const bytes = toBinary(SyncRequestSchema, create(SyncRequestSchema, { request }));
  assert.ok(bytes.length < MAX_REQUEST_BYTES, `${bytes.length} bytes`);
});
