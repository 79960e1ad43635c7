import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import type { ReplicatedMessage } from "../store/store.ts";
import type { Bus } from "./bus.ts";
import { encodeDeleteMarker } from "./delete_marker.ts";
import { ConflictError } from "./error.ts";
import { encodeHeaders } from "./headers.ts";
import type { Message } from "./message.ts";
import { DELETE_TOPIC } from "./names.ts";
import { isBusError, LOCAL, NO_BYTES, openTestBus, OTHER, publishText, textOf } from "./test_bus.ts";

const encoder = new TextEncoder();

function replica(
  headId: number,
  text: string | null,
  more: Partial<ReplicatedMessage> = {},
): ReplicatedMessage {
  const payload = text === null ? NO_BYTES : encoder.encode(text);
  return {
    headId,
    id: `id-${headId}`,
    createdAtMs: 5,
    payload,
    headers: NO_BYTES,
    deleted: text === null,
    ...more,
  };
}

function copy(bus: Bus, topic: string, messages: readonly ReplicatedMessage[], incarnation = "") {
  return bus.replicate({ topic, origin: OTHER, incarnation, messages });
}

function marker(headId: number, topic: string, from: number, to: number, origin = OTHER): ReplicatedMessage {
  return replica(headId, null, { deleted: false, payload: encodeDeleteMarker(topic, origin, from, to, 5) });
}

async function texts(bus: Bus, topic: string): Promise<(string | null)[]> {
  const all: Message[] = [];
  for await (const page of bus.fetch({ topic, origin: OTHER, fromHeadId: 1, limit: 0 })) all.push(...page);
  return all.map((message) => message.deleted ? null : textOf(message));
}

Deno.test("Bus.replicate stores copies where they stand, once, and wakes subscribers", async () => {
  const bus = await openTestBus(new MemoryStore());
  const subscription = bus.subscribe({ topic: "t", origin: OTHER, fromHeadId: 1, pageSize: 10 });
  const next = subscription.next();
  assert.equal(await copy(bus, "t", [replica(1, "1"), replica(2, "2")], "x"), 2);
  assert.deepEqual((await next).map(({ headId, id, createdAtMs }) => [headId, id, createdAtMs]), [
    [1, "id-1", 5],
    [2, "id-2", 5],
  ]);
  assert.equal(await copy(bus, "t", [replica(1, "1"), replica(2, "2"), replica(3, "3")]), 3);
  assert.deepEqual((await subscription.next()).map(textOf), ["3"], "only what is new");
  assert.deepEqual(await texts(bus, "t"), ["1", "2", "3"]);
  assert.deepEqual(bus.logHead("t", OTHER).incarnation, "x");
  subscription.close();
});

Deno.test("Bus.replicate refuses what differs and what leaves a gap, and changes nothing", async () => {
  const bus = await openTestBus(new MemoryStore());
  await copy(bus, "t", [replica(1, "1")]);
  await assert.rejects(copy(bus, "t", [replica(1, "another"), replica(2, "2")]), ConflictError);
  await assert.rejects(copy(bus, "t", [replica(1, "1", { id: "another" })]), ConflictError);
  await assert.rejects(copy(bus, "t", [replica(3, "3")]), isBusError("failed_precondition"));
  assert.deepEqual(await texts(bus, "t"), ["1"]);
});

Deno.test("Bus.replicate keeps headers in one order, whatever the order in which they came", async () => {
  const bus = await openTestBus(new MemoryStore());
  const [ab, ba] = [{ a: "1", b: "2" }, { b: "2", a: "1" }].map(encodeHeaders);
  await copy(bus, "t", [replica(1, "1", { headers: ba ?? NO_BYTES })]);
  assert.equal(await copy(bus, "t", [replica(1, "1", { headers: ab ?? NO_BYTES })]), 1);
  for await (const page of bus.fetch({ topic: "t", origin: OTHER, fromHeadId: 1, limit: 0 })) {
    assert.deepEqual(page[0]?.headers, ab);
  }
});

Deno.test("Bus.replicate compares messages of the local node, and takes none unless somebody decided so", async () => {
  const bus = await openTestBus(new MemoryStore());
  const { id, createdAtMs } = await publishText(bus, "t", "mine");
  const own = (headId: number, text: string, more = {}) =>
    bus.replicate({
      topic: "t",
      origin: { ...LOCAL },
      incarnation: "",
      messages: [replica(headId, text, { id, createdAtMs, ...more })],
    });
  assert.equal(await own(1, "mine"), 1);
  await assert.rejects(own(1, "another"), ConflictError);
  await assert.rejects(own(2, "lost"), ConflictError);
  assert.equal(bus.head("t"), 1);
  const lost = [replica(2, "lost", { id: "id" })];
  assert.equal(
    await bus.replicate({ topic: "t", origin: LOCAL, incarnation: "", messages: lost, adopt: true }),
    2,
  );
  assert.equal((await publishText(bus, "t", "next")).headId, 3);
});

Deno.test("Bus.replicate applies delete markers to logs of their origin, also before the messages come", async () => {
  const bus = await openTestBus(new MemoryStore());
  await copy(bus, "t", [replica(1, "1"), replica(2, "2")]);
  await copy(bus, DELETE_TOPIC, [marker(1, "t", 2, 4), marker(2, "later", 1, 1)]);
  assert.deepEqual(await texts(bus, "t"), ["1", null]);
  await copy(bus, "t", [replica(3, "3"), replica(4, "4"), replica(5, "5")]);
  await copy(bus, "later", [replica(1, "x")]);
  assert.deepEqual(await texts(bus, "t"), ["1", null, null, null, "5"]);
  assert.deepEqual(await texts(bus, "later"), [null]);
});

Deno.test("Bus.replicate hands nobody the payload of a message that was deleted before it came", async () => {
  const bus = await openTestBus(new MemoryStore());
  await copy(bus, DELETE_TOPIC, [marker(1, "t", 1, 1)]);
  const subscription = bus.subscribe({ topic: "t", origin: OTHER, fromHeadId: 1, pageSize: 10 });
  const next = subscription.next();
  await copy(bus, "t", [replica(1, "secret", { headers: encodeHeaders({ a: "b" }) })]);
  const [message] = await next;
  assert.deepEqual([message?.deleted, message?.payload.length, message?.headers.length], [true, 0, 0]);
  subscription.close();
});

Deno.test("Bus.replicate refuses markers that are none, or of somebody else's logs, or of another incarnation", async () => {
  const bus = await openTestBus(new MemoryStore());
  await copy(bus, "t", [replica(1, "1")], "old");
  await publishText(bus, "t", "mine");
  const refused = [
    marker(1, "t", 1, 1, LOCAL),
    replica(1, "not JSON"),
    replica(1, '{"topic":"t"}'),
    marker(1, "t", 0, 0),
  ];
  for (const message of refused) {
    await assert.rejects(copy(bus, DELETE_TOPIC, [message]), isBusError("failed_precondition"));
  }
  await assert.rejects(
    copy(bus, DELETE_TOPIC, [marker(1, "t", 1, 1)], "new"),
    isBusError("failed_precondition"),
  );
  assert.deepEqual(await texts(bus, "t"), ["1"]);
  assert.equal(bus.logHead(DELETE_TOPIC, OTHER).headId, 0);
});

Deno.test("Bus.replicate refuses messages that this node would not take from anybody", async () => {
  const bus = await openTestBus(new MemoryStore(), { messageBytes: 10, headerBytes: 8 });
  const bad = [
    [replica(1, "1", { id: " " }), "invalid_argument"],
    [replica(1, "1", { id: "größe" }), "invalid_argument"],
    [replica(1, "1", { createdAtMs: -1 }), "invalid_argument"],
    [replica(1, "1", { headers: Uint8Array.of(1, 2, 3) }), "invalid_argument"],
    [replica(1, "12345678901"), "resource_exhausted"],
    [replica(1, "", { deleted: false, headers: encodeHeaders({ a: "12345" }) }), "resource_exhausted"],
  ] as const;
  for (const [message, code] of bad) {
    await assert.rejects(copy(bus, "t", [message]), (error) => {
      return (error as { code?: string }).code === code;
    }, `${JSON.stringify(message)}`);
  }
  await assert.rejects(copy(bus, "\0", [replica(1, "1")]), isBusError("invalid_argument", "topic"));
});

Deno.test("Bus.archive sets a log aside: subscriptions end, it begins anew, and can be read by its name", async () => {
  const bus = await openTestBus(new MemoryStore());
  await copy(bus, "t", [replica(1, "old")], "inc");
  const subscription = bus.subscribe({ topic: "t", origin: OTHER, fromHeadId: 2, pageSize: 10 });
  const next = subscription.next();
  const name = await bus.archive("t", OTHER);
  await assert.rejects(next, isBusError("unavailable"));
  assert.equal(name, "inc");
  assert.equal(bus.head("t", OTHER), undefined);
  await copy(bus, "t", [replica(1, "new", { id: "another" })], "inc-2");
  assert.deepEqual(await texts(bus, "t"), ["new"]);
  const archived: string[] = [];
  for await (const page of bus.fetchArchived({ topic: "t", origin: OTHER, fromHeadId: 0, limit: 0 }, name)) {
    archived.push(...page.map(textOf));
  }
  assert.deepEqual(archived, ["old"]);
  assert.deepEqual((await bus.archivedLogs()).map(({ topic, headId }) => [topic, headId]), [["t", 1]]);
});
