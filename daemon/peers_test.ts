import assert from "node:assert/strict";
import { LOCAL, openTestBus } from "./bus/test_bus.ts";
import { readConfig } from "./config/read_config.ts";
import { openLog } from "./log.ts";
import { openSynchronizer } from "./peers.ts";
import { MemoryStore } from "./store/memory/store.ts";
import { eventually } from "./sync/test_node.ts";
import { TestPeer } from "./sync/test_peer.ts";

Deno.test("openSynchronizer does not write a record for each of a thousand logs that are forked at once", async () => {
  const bus = await openTestBus(new MemoryStore());
  const config = readConfig({
    flags: new Map(),
    env: () => undefined,
    whyUnreadable: () => undefined,
  });
  const lines: string[] = [];
  const log = openLog("warn", "text", (line) => lines.push(line));
  const synchronizer = openSynchronizer(bus, config, log, () => {});
  const peer = new TestPeer();
  const heads = Array.from({ length: 1_000 }, (_, at) => ({
    topic: `${at}`,
    origin: LOCAL,
    headId: 1,
    incarnation: "",
  }));
  peer.polled = () => heads;
  await synchronizer.add({
    peer: "peer",
    dial: () => Promise.resolve(peer),
    identity: undefined,
    include: [],
    exclude: [],
  });
  const isForked = async () =>
    (await bus.peerSyncStates()).filter(({ fork }) => fork === "open").length === 1_000;
  await eventually(isForked, "all are forked");
  assert.ok(lines.length >= 100 && lines.length < 200, `${lines.length} records`);
  await synchronizer.close();
  await bus.close();
});
