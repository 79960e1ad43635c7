import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import { type Store, StoreError } from "../store/store.ts";
import type { Bus } from "./bus.ts";
import { BusError } from "./error.ts";
import { isBusError, LOCAL, openTestBus, publishText, textOf } from "./test_bus.ts";

type Deletion = ReturnType<Store["deleteRange"]>;

/** A store that tells of each deletion before it settles. */
class ToldStore extends MemoryStore {
  deleted: (from: number, to: number) => void = () => {};

  override async deleteRange(...range: Parameters<Store["deleteRange"]>): Deletion {
    const deletion = await super.deleteRange(...range);
    this.deleted(range[2], range[3]);
    return deletion;
  }
}

const LIMITS = { deletedHeads: 10 };

async function publishMany(bus: Bus, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => publishText(bus, "t", `${at + 1}`)));
}

async function deletedHeads(bus: Bus): Promise<number[]> {
  const heads: number[] = [];
  for await (const page of bus.fetch({ topic: "t", fromHeadId: 1, limit: 1_000 })) {
    for (const { headId, deleted } of page) if (deleted) heads.push(headId);
  }
  return heads;
}

function headsTo(last: number): number[] {
  return Array.from({ length: last }, (_, at) => at + 1);
}

Deno.test("Bus.deleteRange deletes a long range in slices with markers of their own; others have their turn between them", async () => {
  const store = new ToldStore();
  const bus = await openTestBus(store, LIMITS);
  await publishMany(bus, 25);
  const published: Promise<unknown>[] = [];
  store.deleted = () => published.push(publishText(bus, "u", "between"));
  const { limits, sequence: before } = bus;
  assert.equal(await bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 99 }), 25);
  await Promise.all(published);
  assert.deepEqual(await deletedHeads(bus), headsTo(25));
  const all = await store.readAll(before + 1, {}, { messages: 10, bytes: limits.pageBytes });
  assert.deepEqual(all.messages.map(({ topic }) => topic), [
    "$msgbus.delete",
    "u",
    "$msgbus.delete",
    "u",
    "$msgbus.delete",
    "u",
  ]);
  const ranges: unknown[] = [];
  for await (const page of bus.fetch({ topic: "$msgbus.delete", fromHeadId: 1, limit: 10 })) {
    for (const marker of page) {
      const { from_head_id: from, to_head_id: to } = JSON.parse(textOf(marker));
      ranges.push([from, to]);
    }
  }
  assert.deepEqual(ranges, [[1, 10], [11, 20], [21, 25]]);
});

Deno.test("Bus.deleteRange deletes no more bytes at a time than its limit; a larger message goes alone", async () => {
  const store = new ToldStore();
  const bus = await openTestBus(store, { deletedBytes: 1_000 });
  const sizes = [400, 400, 400, 3_000, 1, 1, 998, 1, 999];
  await Promise.all(sizes.map((size) => publishText(bus, "t", "x".repeat(size))));
  const slices: string[] = [];
  store.deleted = (from, to) => slices.push(`${from}-${to}`);
  assert.equal(await bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 9 }), 9);
  assert.deepEqual(slices, ["1-2", "3-3", "4-4", "5-7", "8-9"]);
  slices.length = 0;
  assert.equal(await bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 9 }), 0);
  assert.deepEqual(slices, ["1-9"], "what is deleted has no bytes");
});

Deno.test("Bus.deleteRange: of callers whose ranges overlap each counts what it deleted, and all is deleted", async () => {
  const bus = await openTestBus(new MemoryStore(), LIMITS);
  await publishMany(bus, 45);
  const counts = await Promise.all(
    ([[1, 35], [8, 45], [1, 45]] as const).map(([fromHeadId, toHeadId]) =>
      bus.deleteRange({ topic: "t", fromHeadId, toHeadId })
    ),
  );
  assert.equal(counts.reduce((sum, count) => sum + count), 45);
  assert.deepEqual(await deletedHeads(bus), headsTo(45));
});

Deno.test("Bus.deleteRange: slices of several callers take turns with what others write", async () => {
  const store = new ToldStore();
  const bus = await openTestBus(store, LIMITS);
  await publishMany(bus, 40);
  const order: string[] = [];
  const published: Promise<unknown>[] = [];
  store.deleted = (from) => {
    order.push(`delete ${from}`);
    published.push(publishText(bus, "u", "between").then(() => order.push("publish")));
  };
  const ranges = [[1, 20], [21, 40]] as const;
  await Promise.all(
    ranges.map(([fromHeadId, toHeadId]) => bus.deleteRange({ topic: "t", fromHeadId, toHeadId })),
  );
  await Promise.all(published);
  const deletions = order.filter((call) => call !== "publish");
  assert.deepEqual(deletions, ["delete 1", "delete 21", "delete 11", "delete 31"]);
  assert.equal(order[1], "publish", "and not behind the slices of all");
});

Deno.test("Bus.deleteRange that fails on its way says what is deleted, and deletes the rest when called again", async () => {
  class FullStore extends MemoryStore {
    full = true;
    override deleteRange(...range: Parameters<Store["deleteRange"]>): Deletion {
      if (this.full && range[2] > 20) return Promise.reject(new StoreError("full", "secret path"));
      return super.deleteRange(...range);
    }
  }
  const store = new FullStore();
  const bus = await openTestBus(store, LIMITS);
  await publishMany(bus, 35);
  const deletion = { topic: "t", fromHeadId: 1, toHeadId: 35 };
  await assert.rejects(bus.deleteRange(deletion), (error) => {
    assert.ok(error instanceof BusError && error.code === "resource_exhausted");
    assert.match(error.message, /disk is full.*heads 1 to 20 were deleted; delete 1 to 35 again/);
    return true;
  });
  assert.deepEqual(await deletedHeads(bus), headsTo(20));
  store.full = false;
  assert.equal(await bus.deleteRange(deletion), 15);
  assert.deepEqual(await deletedHeads(bus), headsTo(35));
});

Deno.test("Bus.deleteRange ends with the slice under way when the bus closes", async () => {
  const store = new ToldStore();
  const bus = await openTestBus(store, LIMITS);
  await publishMany(bus, 25);
  let closed: Promise<void> | undefined;
  store.deleted = () => closed ??= bus.close();
  await assert.rejects(
    bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 25 }),
    (error) =>
      isBusError("unavailable")(error) && error instanceof Error &&
      /1 to 10 were deleted/.test(error.message),
  );
  await closed;
  assert.deepEqual(await deletedHeads(await openTestBus(store)), headsTo(10));
});

Deno.test("Bus.deleteRange deletes nothing of a log that began anew meanwhile", async () => {
  const store = new ToldStore();
  const bus = await openTestBus(store, LIMITS);
  await publishMany(bus, 25);
  store.deleted = () => {
    store.deleted = () => {};
    void bus.archive("t", LOCAL);
    void publishMany(bus, 25);
  };
  await assert.rejects(
    bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 25 }),
    isBusError("unavailable"),
  );
  assert.deepEqual(await deletedHeads(bus), []);
});
