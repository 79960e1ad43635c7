import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import { type Appended, type NewMessage, StoreError } from "../store/store.ts";
import type { Bus } from "./bus.ts";
import type { Message } from "./message.ts";
import { isBusError, LOCAL, NO_BYTES, openTestBus, OTHER, publishText, textOf } from "./test_bus.ts";

/** A store whose appends are applied at once but settle only when the test lets them. */
class HeldStore extends MemoryStore {
  readonly calls: number[] = [];
  #held: (() => void)[] = [];

  override async append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    this.calls.push(batch.length);
    const result = super.append(batch);
    await new Promise<void>((resolve) => this.#held.push(resolve));
    return await result;
  }

  release(): void {
    const held = this.#held;
    this.#held = [];
    for (const resolve of held) resolve();
  }
}

async function fetchAll(bus: Bus, topic: string, fromHeadId = 0, limit = 10_000): Promise<Message[]> {
  const all = [];
  for await (const page of bus.fetch({ topic, fromHeadId, limit })) all.push(...page);
  return all;
}

async function publishMany(bus: Bus, topic: string, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => publishText(bus, topic, `${at + 1}`)));
}

Deno.test("Bus.publish answers the whole stored message", async () => {
  const bus = await openTestBus(new MemoryStore());
  const payload = Uint8Array.of(1, 2);
  const headers = Uint8Array.of(0x32, 0);
  const first = await bus.publish({ topic: " t ", payload, headers });
  const { id } = first;
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual({ ...first }, {
    topic: " t ",
    origin: LOCAL,
    headId: 1,
    sequence: 1,
    createdAtMs: 1_700_000_000_000,
    payload,
    headers,
    deleted: false,
    encoded: undefined,
    encodedRun: undefined,
  });
  const empty = { tenantId: "", blName: "", deviceId: "" };
  for (const origin of [undefined, empty, { ...LOCAL }]) {
    assert.deepEqual((await bus.publish({ topic: " t ", origin, payload, headers })).origin, LOCAL);
  }
  assert.equal(bus.head(" t "), 4);
});

Deno.test("Bus.publish refuses bad names, other nodes and reserved topics", async () => {
  const bus = await openTestBus(new MemoryStore());
  const publish = (topic: string, origin = LOCAL) =>
    bus.publish({ topic, origin, payload: NO_BYTES, headers: NO_BYTES });
  for (const topic of ["", " \t\n", "a\0b", "\ud800", "x".repeat(1025), "é".repeat(513)]) {
    await assert.rejects(publish(topic), isBusError("invalid_argument", "topic"));
  }
  await publish("x".repeat(1024));
  await publish("é".repeat(512));
  await assert.rejects(publish("t", OTHER), isBusError("permission_denied", "origin"));
  await assert.rejects(
    publish("t", { ...OTHER, blName: "" }),
    isBusError("invalid_argument", "origin.bl_name"),
  );
  await assert.rejects(publish("$msgbus.delete"), isBusError("permission_denied", "topic"));
  await publish("$msgbus");
  assert.equal(bus.head("t"), undefined);
});

Deno.test("Bus.publish refuses what is larger than its limits", async () => {
  const bus = await openTestBus(new MemoryStore(), { messageBytes: 15, headerBytes: 5 });
  const publish = (payload: number, headers: number) =>
    bus.publish({ topic: "t", payload: new Uint8Array(payload), headers: new Uint8Array(headers) });
  await publish(10, 5);
  await assert.rejects(publish(11, 5), isBusError("resource_exhausted"));
  await assert.rejects(publish(16, 0), isBusError("resource_exhausted"));
  await assert.rejects(publish(0, 6), isBusError("resource_exhausted"));
  assert.equal(bus.head("t"), 1);
});

Deno.test("Bus.publish refuses more while too many bytes wait for the disk, and accepts again after", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store, { pendingBytes: 3 * (256 + 10) });
  const publish = () => bus.publish({ topic: "t", payload: new Uint8Array(10), headers: NO_BYTES });
  const accepted = [publish(), publish(), publish()];
  await assert.rejects(publish(), isBusError("resource_exhausted"));
  store.release();
  await Promise.all(accepted);
  const again = publish();
  await Promise.resolve(); // the batch goes to the store at the end of this turn
  store.release();
  assert.equal((await again).headId, 4);
});

Deno.test("Bus.publish hands the messages of one turn to the store in one call", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  const published = [publishText(bus, "t", "1"), publishText(bus, "u", "2"), publishText(bus, "t", "3")];
  await Promise.resolve();
  assert.deepEqual(store.calls, [3]);
  store.release();
  assert.deepEqual((await Promise.all(published)).map(({ headId }) => headId), [1, 1, 2]);
});

Deno.test("Bus.publish: a message has its head and reached subscribers when the publisher hears of it", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  const subscription = bus.subscribe({ topic: "t", fromHeadId: 0, pageSize: 0 });
  const events: string[] = [];
  const received = subscription.next().then((page) => events.push(`subscriber ${page.length}`));
  const published = publishText(bus, "t", "1").then(() => events.push(`publisher ${bus.head("t")}`));
  await Promise.resolve();
  assert.equal(bus.head("t"), undefined);
  store.release();
  await Promise.all([received, published]);
  assert.deepEqual(events, ["subscriber 1", "publisher 1"]);
});

Deno.test("Bus.head and Bus.heads know what the store held before, and other origins", async () => {
  const store = new MemoryStore();
  const message = { topic: "t", id: "x", createdAtMs: 1, payload: NO_BYTES, headers: NO_BYTES };
  await store.append([{ ...message, origin: OTHER }, { ...message, origin: LOCAL }, {
    ...message,
    origin: LOCAL,
  }]);
  const bus = await openTestBus(store);
  assert.equal(bus.head("t"), 2);
  assert.equal(bus.head("t", OTHER), 1);
  assert.equal(bus.head("u"), undefined);
  assert.throws(() => bus.head(" "), isBusError("invalid_argument", "topic"));
  assert.throws(
    () => bus.head("t", { ...OTHER, deviceId: " " }),
    isBusError("invalid_argument", "origin.device_id"),
  );
  await publishText(bus, "t", "3");
  assert.deepEqual(
    bus.heads().map(({ origin, headId }) => [origin.deviceId, headId]).sort(),
    [["local", 3], ["other", 1]],
  );
});

Deno.test("Bus.fetch serves its defaults and bounds in pages", async () => {
  const bus = await openTestBus(new MemoryStore(), { pageMessages: 7 });
  await publishMany(bus, "t", 10_050);
  const heads = async (from: number, limit: number) =>
    (await fetchAll(bus, "t", from, limit)).map(({ headId }) => headId);
  assert.deepEqual(await heads(0, 3), [1, 2, 3]);
  assert.deepEqual(await heads(1, 3), [1, 2, 3]);
  assert.deepEqual(await heads(10_049, 5), [10_049, 10_050]);
  assert.deepEqual(await heads(10_051, 5), []);
  assert.equal((await heads(0, 0)).length, 100);
  assert.equal((await heads(0, 4_000_000_000)).length, 10_000);
  for await (const page of bus.fetch({ topic: "t", fromHeadId: 0, limit: 20 })) assert.ok(page.length <= 7);
  assert.deepEqual(await fetchAll(bus, "unknown"), []);
  assert.throws(
    () => bus.fetch({ topic: "", fromHeadId: 0, limit: 0 }),
    isBusError("invalid_argument", "topic"),
  );
});

Deno.test("Bus.deleteRange marks, counts, and leaves the contract's marker", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishMany(bus, "t", 5);
  const markers = bus.subscribe({ topic: "$msgbus.delete", fromHeadId: 0, pageSize: 0 });
  assert.equal(await bus.deleteRange({ topic: "t", fromHeadId: 0, toHeadId: 2 }), 2);
  assert.equal(await bus.deleteRange({ topic: "t", fromHeadId: 2, toHeadId: 99 }), 3);
  const messages = await fetchAll(bus, "t");
  assert.ok(messages.every(({ deleted, payload }) => deleted && payload.length === 0));
  const expected = [[1, 2], [2, 5]].map(([from, to]) =>
    `{"topic":"t","origin":{"tenant_id":"tenant","bl_name":"line","device_id":"local"},` +
    `"from_head_id":${from},"to_head_id":${to},"created_at_ms":1700000000000}`
  );
  assert.deepEqual((await fetchAll(bus, "$msgbus.delete")).map(textOf), expected);
  assert.deepEqual((await markers.next()).map(textOf), expected);
  assert.equal((await publishText(bus, "t", "6")).headId, 6);
});

Deno.test("Bus.deleteRange never covers messages that are not published yet", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishMany(bus, "t", 2);
  const deleted = bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 1_000 });
  await publishMany(bus, "t", 2);
  assert.equal(await deleted, 2);
  assert.deepEqual((await fetchAll(bus, "t")).map((message) => message.deleted), [true, true, false, false]);
  assert.match(textOf((await fetchAll(bus, "$msgbus.delete"))[0] ?? assert.fail()), /"to_head_id":2,/);
});

Deno.test("Bus.deleteRange of nothing answers 0 without a marker", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishMany(bus, "t", 2);
  assert.equal(await bus.deleteRange({ topic: "t", fromHeadId: 3, toHeadId: 9 }), 0);
  assert.equal(await bus.deleteRange({ topic: "unknown", fromHeadId: 1, toHeadId: 9 }), 0);
  assert.equal(bus.head("$msgbus.delete"), undefined);
});

Deno.test("Bus.deleteRange refuses reversed ranges, other nodes and reserved topics", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishMany(bus, "t", 2);
  const range = { topic: "t", fromHeadId: 1, toHeadId: 1 };
  await bus.deleteRange(range);
  for (const [fromHeadId, toHeadId] of [[2, 1], [0, 0]] as const) {
    const reversed = { ...range, fromHeadId, toHeadId };
    await assert.rejects(bus.deleteRange(reversed), isBusError("invalid_argument", "from_head_id"));
  }
  await assert.rejects(
    bus.deleteRange({ ...range, origin: OTHER }),
    isBusError("permission_denied", "origin"),
  );
  const reserved = { ...range, topic: "$msgbus.delete" };
  await assert.rejects(bus.deleteRange(reserved), isBusError("permission_denied", "topic"));
  await assert.rejects(bus.deleteRange({ ...range, topic: " " }), isBusError("invalid_argument", "topic"));
});

Deno.test("Bus FIFO follows the rules of queues", async () => {
  const bus = await openTestBus(new MemoryStore());
  const empty = { tenantId: "", blName: "", deviceId: "" };
  const request = { queue: "q", topic: "t", target: LOCAL, payload: Uint8Array.of(1), headers: NO_BYTES };
  await assert.rejects(bus.peekFifo("q"), isBusError("not_found"));
  const first = await bus.enqueueFifo(request);
  assert.deepEqual([first.source, first.target, first.sequence, first.attempts], [LOCAL, LOCAL, 1, 0]);
  const second = await bus.enqueueFifo({ ...request, source: OTHER, target: empty });
  assert.deepEqual([second.source, second.target, second.sequence], [OTHER, LOCAL, 2]);
  assert.deepEqual(await bus.peekFifo("q"), first);
  assert.equal(await bus.ackFifo("q", second.id), false);
  assert.equal(await bus.rejectFifo("q", first.id), true);
  assert.equal((await bus.peekFifo("q")).attempts, 1);
  assert.equal(await bus.ackFifo("q", first.id), true);
  assert.equal((await bus.peekFifo("q")).id, second.id);
});

Deno.test("Bus FIFO refuses bad requests", async () => {
  const bus = await openTestBus(new MemoryStore(), { messageBytes: 1 });
  const request = { queue: "q", topic: "t", target: OTHER, payload: NO_BYTES, headers: NO_BYTES };
  const refused = [
    [{ ...request, queue: " " }, "queue"],
    [{ ...request, topic: "" }, "topic"],
    [{ ...request, target: undefined }, "target"],
    [{ ...request, target: { ...OTHER, tenantId: "" } }, "target.tenant_id"],
    [{ ...request, source: { ...OTHER, deviceId: "\0" } }, "source.device_id"],
  ] as const;
  for (const [bad, field] of refused) {
    await assert.rejects(bus.enqueueFifo(bad), isBusError("invalid_argument", field));
  }
  await assert.rejects(
    bus.enqueueFifo({ ...request, payload: new Uint8Array(2) }),
    isBusError("resource_exhausted"),
  );
  await assert.rejects(bus.ackFifo("q", " "), isBusError("invalid_argument", "message_id"));
  await assert.rejects(bus.rejectFifo("", "id"), isBusError("invalid_argument", "queue"));
});

Deno.test("Bus.close lets accepted messages settle, refuses new calls, and ends subscriptions", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  const subscription = bus.subscribe({ topic: "t", fromHeadId: 2, pageSize: 0 });
  const waiting = subscription.next();
  const published = publishText(bus, "t", "1");
  const closed = bus.close();
  const unavailable = isBusError("unavailable");
  await assert.rejects(publishText(bus, "t", "2"), unavailable);
  await assert.rejects(bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 1 }), unavailable);
  await assert.rejects(bus.peekFifo("q"), unavailable);
  await assert.rejects(bus.peerSyncStates(), unavailable);
  assert.throws(() => bus.head("t"), unavailable);
  assert.throws(() => bus.heads(), unavailable);
  assert.throws(() => bus.fetch({ topic: "t", fromHeadId: 0, limit: 0 }), unavailable);
  assert.throws(() => bus.subscribe({ topic: "t", fromHeadId: 0, pageSize: 0 }), unavailable);
  assert.equal((await bus.ready()).ready, false);
  store.release();
  assert.equal((await published).headId, 1);
  await assert.rejects(waiting, unavailable);
  await assert.rejects(subscription.next(), unavailable);
  await closed;
  await bus.close();
});

Deno.test("Bus answers a failed store with internal, a full one with resource_exhausted, without details", async () => {
  class FailingStore extends MemoryStore {
    failure: Error = new StoreError("broken", "secret path");
    override append(): Promise<never> {
      return Promise.reject(this.failure);
    }
    override check(): Promise<never> {
      return Promise.reject(this.failure);
    }
  }
  const store = new FailingStore();
  const bus = await openTestBus(store);
  const hides = (code: "internal" | "resource_exhausted") => (error: unknown) =>
    isBusError(code)(error) && error instanceof Error && !error.message.includes("secret") &&
    error.cause === store.failure;
  await assert.rejects(publishText(bus, "t", "1"), hides("internal"));
  const readiness = await bus.ready();
  assert.ok(!readiness.ready && readiness.error.includes("store failed"));
  store.failure = new StoreError("full", "secret path");
  await assert.rejects(publishText(bus, "t", "1"), hides("resource_exhausted"));
  store.failure = new TypeError("secret");
  await assert.rejects(publishText(bus, "t", "1"), hides("internal"));
  assert.equal(bus.head("t"), undefined);
  assert.deepEqual(await (await openTestBus(new MemoryStore())).ready(), { ready: true });
});

Deno.test("Bus.deleteRange says when the bytes of what it deleted are still on the disk", async () => {
  const store = new MemoryStore();
  const deleteRange = store.deleteRange.bind(store);
  store.deleteRange = async (...range) => ({ ...await deleteRange(...range), erased: false });
  const bus = await openTestBus(store);
  await bus.publish({ topic: "t", payload: new Uint8Array(10), headers: NO_BYTES });
  await assert.rejects(
    bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 1 }),
    isBusError("resource_exhausted"),
  );
  const pages: boolean[] = [];
  for await (const page of bus.fetch({ topic: "t", fromHeadId: 1, limit: 10 })) {
    pages.push(...page.map(({ deleted }) => deleted));
  }
  assert.deepEqual(pages, [true], "it is deleted all the same");
  assert.equal(bus.head("$msgbus.delete"), 1);
});
