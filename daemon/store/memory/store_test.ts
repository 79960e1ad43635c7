import assert from "node:assert/strict";
import type { PeerSyncState } from "../store.ts";
import { MemoryStore } from "./store.ts";

Deno.test("MemoryStore records the states of many logs without looking through all of them for each", async () => {
  const store = new MemoryStore();
  const states = Array.from({ length: 20_000 }, (_, at): PeerSyncState => ({
    peer: "peer",
    topic: `${at}`,
    origin: { tenantId: "tenant", blName: "line", deviceId: "a" },
    localHead: 0,
    remoteHead: 1,
    lastSyncedHead: 0,
    lastAttemptAtMs: 0,
    lastSuccessAtMs: 0,
    consecutiveFailures: 0,
    lastError: "",
    localIncarnation: "",
    remoteIncarnation: "",
    fork: "none",
  }));
  const begin = performance.now();
  await store.recordPeerSync(states);
  assert.ok(performance.now() - begin < 5_000, "it took seconds");
  assert.equal((await store.peerSyncStates()).length, states.length);
  await store.close();
});
