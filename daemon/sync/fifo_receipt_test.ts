import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import { eventually, TestNode } from "./test_node.ts";

const FORWARDED = "$msgbus.fifo.tenant/line/c";
const RECEIPTS = "$msgbus.fifo-received.tenant/line/a";

async function enqueue(from: TestNode, to: TestNode, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    await from.bus.enqueueFifo({
      queue: "q",
      topic: "t",
      target: to.bus.node,
      payload: new TextEncoder().encode(text),
      headers: new Uint8Array(),
    });
  }
}

/** Takes what is in front of the queue. */
async function take(node: TestNode): Promise<string | undefined> {
  const front = await node.bus.peekFifo("q").catch(() => undefined);
  if (front === undefined) return undefined;
  await node.bus.ackFifo("q", front.id);
  return new TextDecoder().decode(front.payload);
}

Deno.test("a node that lost its data forgets no queue message because its target received others before", async () => {
  const lost = await TestNode.start("a");
  await using c = await TestNode.start("c");
  await enqueue(lost, c, ["1", "2", "3"]);
  await c.follow(lost);
  await lost.follow(c);
  await eventually(
    async () => (await lost.texts(FORWARDED)).every((text) => text === null),
    "all are received",
  );
  for (const text of ["1", "2", "3"]) assert.equal(await take(c), text);
  await c.sync.remove("a");
  await lost[Symbol.asyncDispose]();

  await using a = await TestNode.start("a");
  await enqueue(a, c, ["new 1", "new 2"]);
  await a.follow(c);
  await eventually(async () => (await a.texts(RECEIPTS, c)).length > 0, "a hears of the receipts");
  await new Promise((resolve) => setTimeout(resolve, 500)); // longer than receipts gather
  assert.ok((await a.texts(FORWARDED)).every((text) => text !== null), "nothing is forgotten");

  await c.follow(a);
  const isForked = async () =>
    (await c.bus.peerSyncStates()).some(({ topic, fork }) => topic === FORWARDED && fork === "open");
  await eventually(isForked, "c sees another log");
  await c.sync.resolve({ peer: "a", origin: a.bus.node, topic: "", decision: "adopt" });
  await eventually(async () => await take(c) === "new 1", "the first comes");
  await eventually(async () => await take(c) === "new 2", "the second comes");
  await eventually(
    async () => (await a.texts(FORWARDED)).every((text) => text === null),
    "they are received",
  );
});

Deno.test("what a target received is not enqueued again from a backup of the sender that it adopts", async () => {
  const store = new MemoryStore();
  const lost = await TestNode.start("a", { store });
  await using c = await TestNode.start("c");
  await enqueue(lost, c, ["1", "2"]);
  const backup = new MemoryStore(store.incarnation);
  const origin = lost.bus.node;
  const sent = await store.read(FORWARDED, origin, 1, { messages: 10, bytes: 1e6 });
  await backup.append(sent.map((message) => ({ ...message, topic: FORWARDED, origin })));
  await enqueue(lost, c, ["3"]);
  await c.follow(lost);
  for (const text of ["1", "2", "3"]) await eventually(async () => await take(c) === text, `${text} comes`);
  await c.sync.remove("a");
  await lost[Symbol.asyncDispose]();

  await using a = await TestNode.start("a", { store: backup });
  await enqueue(a, c, ["another 3", "4"]);
  await a.follow(c);
  await c.follow(a);
  const isForked = async () =>
    (await c.bus.peerSyncStates()).some(({ topic, fork }) => topic === FORWARDED && fork === "open");
  await eventually(isForked, "c sees another log");
  await c.sync.resolve({ peer: "a", origin, topic: "", decision: "adopt" });
  const received = async () => (await a.texts(FORWARDED)).every((text) => text === null);
  await eventually(received, "all are received");
  assert.deepEqual([await take(c), await take(c), await take(c)], ["another 3", "4", undefined]);
});
