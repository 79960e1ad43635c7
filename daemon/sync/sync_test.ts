import assert from "node:assert/strict";
import { decodeHeaders, encodeHeaders } from "../bus/headers.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { PeerError, type PeerLink } from "./peer_link.ts";
import { SharedSecret } from "./shared_secret.ts";
import { decodeResponse } from "./sync_codec.ts";
import { eventually, nodeName, TestNode } from "./test_node.ts";

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

Deno.test("Synchronizer.remove follows a peer no more that is just being added", async () => {
  await using a = await TestNode.start("a");
  await using b = await TestNode.start("b");
  const adding = b.follow(a);
  await b.sync.remove("a");
  await adding;
  assert.deepEqual(b.sync.peers(), []);
  await b.follow(a);
  assert.deepEqual(b.sync.peers().map(({ peer }) => peer), ["a"]);
});

/** A link whose batches and fetched messages are counted by log. */
function counting(node: TestNode, counts: Map<string, number>): PeerLink {
  const link = node.link();
  const sync = link.sync.bind(link);
  link.sync = () => {
    const stream = sync();
    const nextBatch = stream.nextBatch.bind(stream);
    stream.nextBatch = async () => {
      const responses = await nextBatch();
      for (const response of responses ?? []) {
        const count = decodeResponse(response).batch?.messages.length ?? 0;
        counts.set(node.bus.node.deviceId, (counts.get(node.bus.node.deviceId) ?? 0) + count);
      }
      return responses;
    };
    return stream;
  };
  return link;
}

Deno.test("Synchronizer takes each message from one peer alone, where several have it", async () => {
  await using a = await TestNode.start("a");
  await using b = await TestNode.start("b");
  await using c = await TestNode.start("c");
  const counts = new Map<string, number>();
  const follow = (from: TestNode, to: TestNode) =>
    from.follow(to, { dial: () => Promise.resolve(from === c ? counting(to, counts) : to.link()) });
  for (const [from, to] of [[a, b], [b, a], [a, c], [b, c]] as const) await follow(from, to);
  for (let i = 0; i < 500; i++) await a.publish(`t${i % 10}`, `${i}`);
  await eventually(async () => (await b.texts("t9", a)).length === 50, "b has all");
  await follow(c, b);
  await follow(c, a);
  await eventually(async () => (await c.texts("t9", a)).length === 50, "c has all");
  for (let i = 0; i < 100; i++) await a.publish("live", `${i}`);
  await eventually(async () => (await c.texts("live", a)).length === 100, "c follows");
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  assert.ok(total >= 600 && total <= 640, `${total} messages came for 600`);
});

Deno.test("Synchronizer copies from another peer when the one that it copied from goes", async () => {
  await using a = await TestNode.start("a");
  const b = await TestNode.start("b");
  await using c = await TestNode.start("c");
  await b.follow(a);
  await c.follow(b);
  await a.publish("t", "1");
  await eventually(async () => (await c.texts("t", a)).length === 1, "by way of b");
  await c.follow(a);
  await eventually(() => c.sync.peers().every(({ mode }) => mode === "stream"), "c has both");
  await b[Symbol.asyncDispose]();
  await a.publish("t", "2");
  await eventually(async () => (await c.texts("t", a)).length === 2, "from a itself");
});

Deno.test("Synchronizer copies what the filter passes, and deletions in any case", async () => {
  await using a = await TestNode.start("a");
  await using b = await TestNode.start("b");
  for (const topic of ["sensors.a", "sensors.raw.b", "other"]) await a.publish(topic, "x");
  await b.follow(a, { include: ["sensors.>"], exclude: ["sensors.raw.>"] });
  await eventually(async () => (await b.texts("sensors.a", a)).length === 1, "what is included");
  await a.bus.deleteRange({ topic: "sensors.a", fromHeadId: 1, toHeadId: 1 });
  await eventually(async () => (await b.texts("sensors.a", a))[0] === null, "the deletion");
  assert.deepEqual(b.bus.heads().map(({ topic }) => topic).sort(), ["$msgbus.delete", "sensors.a"]);
  await b.sync.remove("a");
  await b.follow(a, { include: ["other"] });
  await eventually(
    async () => (await b.texts("other", a)).length === 1,
    "another filter begins from the start",
  );
});

Deno.test("Synchronizer goes on with all other logs where one can't be copied, and says so", async () => {
  const store = new MemoryStore();
  const node = nodeName("a");
  const bad = {
    topic: "bad",
    origin: node,
    id: "größe",
    createdAtMs: 1,
    payload: new Uint8Array(),
    headers: new Uint8Array(),
  };
  await store.append([bad]);
  await using a = await TestNode.start("a", { store });
  await using b = await TestNode.start("b");
  await b.follow(a);
  await a.publish("good", "x");
  await eventually(async () => (await b.texts("good", a)).length === 1, "the other log");
  await eventually(
    () => b.events.some((event) => /^a bad: .*no printable ASCII/.test(event)),
    "a line in the log",
  );
  await b.sync.record();
  const state = (await b.bus.peerSyncStates()).find(({ topic }) => topic === "bad");
  assert.match(state?.lastError ?? "", /no printable ASCII/);
  assert.ok((state?.consecutiveFailures ?? 0) > 0);
  assert.deepEqual(b.sync.peers().map(({ logsBehind, messagesBehind }) => [logsBehind, messagesBehind]), [[
    1,
    1,
  ]]);
});

Deno.test("Synchronizer follows nobody who is another than was said, or this node itself, or does not know the secret", async () => {
  await using a = await TestNode.start("a");
  await using b = await TestNode.start("b");
  await a.publish("t", "1");
  await b.follow(a, { peer: "pinned", identity: nodeName("x") });
  await b.follow(b, { peer: "itself" });
  await b.follow(a, {
    peer: "secret",
    proof: { secret: await SharedSecret.of("a secret that a does not know"), address: "a:1" },
  });
  const expected = [
    /^pinned failed: the peer says that it is tenant\/line\/a, and must be tenant\/line\/x/,
    /^itself failed: the peer says that it is tenant\/line\/b, as this node is/,
    /^secret failed: .*no --discover-secret-file/,
  ];
  for (const reason of expected) {
    await eventually(() => b.events.some((event) => reason.test(event)), String(reason));
  }
  assert.deepEqual(await b.texts("t", a), []);
});

Deno.test("queue messages for another node arrive there once and in order, by way of others, and leave the sender", async () => {
  await using a = await TestNode.start("a");
  await using b = await TestNode.start("b");
  await using c = await TestNode.start("c");
  const enqueue = (from: TestNode, text: string, headers: Record<string, string> = {}) =>
    from.bus.enqueueFifo({
      queue: "q",
      topic: "t",
      target: c.bus.node,
      payload: new TextEncoder().encode(text),
      headers: encodeHeaders(headers),
    });
  const first = await enqueue(a, "1", { a: "b" });
  await enqueue(a, "2");
  await assert.rejects(a.bus.peekFifo("q"), /empty/);
  await assert.rejects(enqueue(a, "x", { "$msgbus.queue": "y" }), /reserved/);
  for (const [from, to] of [[b, a], [a, b], [c, b], [b, c]] as const) await from.follow(to);
  await eventually(
    async () => (await b.texts("$msgbus.fifo.tenant/line/c", a)).includes(null),
    "b forgets too",
  );
  const taken: string[] = [];
  for (;;) {
    const front = await c.bus.peekFifo("q").catch(() => undefined);
    if (front === undefined) break;
    if (taken.length === 0) {
      assert.deepEqual([front.id, front.source, front.target, front.topic], [
        first.id,
        a.bus.node,
        c.bus.node,
        "t",
      ]);
      assert.deepEqual({ ...decodeHeaders(front.headers) }, { a: "b" });
    }
    taken.push(new TextDecoder().decode(front.payload));
    assert.equal(await c.bus.ackFifo("q", front.id), true);
  }
  assert.deepEqual(taken, ["1", "2"]);
  await eventually(
    async () => (await a.texts("$msgbus.fifo.tenant/line/c")).every((text) => text === null),
    "it left the sender",
  );
  await enqueue(a, "3");
  await eventually(() => c.bus.peekFifo("q").then(() => true, () => false), "and the next one comes");
});

Deno.test("what is known of a peer as a whole outlives the daemon", async () => {
  const store = new MemoryStore();
  await using a = await TestNode.start("a");
  {
    const b = await TestNode.start("b", { store });
    await b.follow(a);
    await eventually(() => b.sync.peers()[0]?.mode === "stream", "b follows a");
    await b.sync.close();
    await b.bus.close();
  }
  await using again = await TestNode.start("b", { store });
  const dial = () => Promise.reject(new PeerError("refused", "not now"));
  await again.follow(a, { dial });
  await eventually(() => again.events.length > 0, "it fails");
  const [peer] = again.sync.peers();
  assert.equal(peer?.identity?.node.deviceId, "a");
  assert.equal(peer?.identity?.incarnation, a.bus.incarnation);
  assert.ok((peer?.lastSuccessAtMs ?? 0) > 0);
  assert.deepEqual([peer?.mode, peer?.lastError], ["none", "not now"]);
});
