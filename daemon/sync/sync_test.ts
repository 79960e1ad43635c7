import assert from "node:assert/strict";
import { eventually, TestNode } from "./test_node.ts";

for (const plain of [false, true]) {
  const how = plain ? "by polling a peer without SyncService" : "by a session";
  Deno.test(`Synchronizer copies ${how}: what was there, then what comes, also past a node in between`, async () => {
    await using a = await TestNode.start("a", { plain });
    await using b = await TestNode.start("b", { plain });
    await using c = await TestNode.start("c", { plain });
    for (let i = 1; i <= 250; i++) await a.publish("t", `a${i}`);
    await b.publish("t", "b1");
    await b.follow(a);
    await c.follow(b);
    await eventually(async () => (await c.texts("t", a)).length === 250, "c has a's messages");
    assert.deepEqual(await c.texts("t", a), Array.from({ length: 250 }, (_, at) => `a${at + 1}`));
    assert.deepEqual(await c.texts("t", b), ["b1"]);
    const live = c.bus.subscribe({ topic: "t", origin: a.bus.node, fromHeadId: 251, pageSize: 10 });
    const next = live.next();
    await a.publish("t", "live");
    assert.deepEqual((await next).map(({ payload }) => new TextDecoder().decode(payload)), ["live"]);
    live.close();
    assert.deepEqual(b.sync.peers().map(({ mode }) => mode), [plain ? "poll" : "stream"]);
    assert.deepEqual(b.events, [`a ${plain ? "poll" : "stream"}`]);
  });
}
