import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import { type ReplicatedBatch, type ReplicatedMessage, StoreError } from "../store/store.ts";
import type { Bus } from "./bus.ts";
import { encodeDeleteMarker } from "./delete_marker.ts";
import { ConflictError } from "./error.ts";
import type { BusLimits } from "./limits.ts";
import { DELETE_TOPIC } from "./names.ts";
import { isBusError, LOCAL, NO_BYTES, openTestBus, OTHER, publishText } from "./test_bus.ts";

function message(headId: number, id: string, payload: Uint8Array = NO_BYTES): ReplicatedMessage {
  return { headId, id, createdAtMs: 1, payload, headers: NO_BYTES, deleted: false };
}

function marker(headId: number, id: string, from: number): ReplicatedMessage {
  return message(headId, id, encodeDeleteMarker("t", OTHER, from, from, 1));
}

async function busWithCopies() {
  const bus = await openTestBus(new MemoryStore());
  const copy = { origin: OTHER, incarnation: "old" };
  await bus.replicate({ ...copy, topic: "t", messages: [message(1, "m1"), message(2, "m2")] });
  await bus.replicate({ ...copy, topic: DELETE_TOPIC, messages: [marker(1, "d1", 1)] });
  return bus;
}

Deno.test("Bus.replicate reports other delete markers than those stored as a conflict, though they delete from another log", async () => {
  const bus = await busWithCopies();
  const messages = [marker(1, "e1", 1), marker(2, "e2", 2)];
  await assert.rejects(
    bus.replicate({ topic: DELETE_TOPIC, origin: OTHER, incarnation: "new", messages }),
    (error) => error instanceof ConflictError,
  );
});

Deno.test("Bus.replicate compares delete markers that are stored, and refuses new ones for another log", async () => {
  const bus = await busWithCopies();
  const copy = { topic: DELETE_TOPIC, origin: OTHER, incarnation: "new" };
  assert.equal(await bus.replicate({ ...copy, messages: [marker(1, "d1", 1)] }), 1);
  await assert.rejects(
    bus.replicate({ ...copy, messages: [marker(1, "d1", 1), marker(2, "d2", 2)] }),
    isBusError("failed_precondition"),
  );
});

Deno.test("Bus.replicate remembers nothing to delete of logs whose names no log may have", async () => {
  const remembered: string[] = [];
  class Store extends MemoryStore {
    override replicate(batch: ReplicatedBatch) {
      remembered.push(...batch.deletes.map(({ topic }) => topic));
      return super.replicate(batch);
    }
  }
  const bus = await openTestBus(new Store());
  const topics = ["t".repeat(100_000), "a\0b", "\ud800", "", "t"];
  const messages = topics.map((topic, at) =>
    message(at + 1, `d${at}`, encodeDeleteMarker(topic, OTHER, 1, Number.MAX_SAFE_INTEGER, 1))
  );
  assert.equal(await bus.replicate({ topic: DELETE_TOPIC, origin: OTHER, incarnation: "", messages }), 5);
  assert.deepEqual(remembered, ["t"]);
});

Deno.test("Bus.archive: who reads the log meanwhile is told to begin anew", async () => {
  const store = new MemoryStore();
  const bus = await openTestBus(store);
  await publishText(bus, "t", "1");
  const subscription = bus.subscribe({ topic: "t", fromHeadId: 1, pageSize: 1 });
  const archived = bus.archive("t", LOCAL);
  await assert.rejects(subscription.next(), isBusError("unavailable"));
  await archived;
  await assert.rejects(subscription.next(), isBusError("unavailable"));
  assert.equal(bus.head("t"), undefined);
});

function rangeMarker(headId: number, from: number, to: number): ReplicatedMessage {
  return message(headId, `d${headId}`, encodeDeleteMarker("t", OTHER, from, to, 1));
}

/** A store that keeps what deletes on its way for as long as another call takes. */
class MarkerStore extends MemoryStore {
  readonly batches: number[][] = [];
  /** Up to where the ranges of the last batch were said to be erased. */
  erasedTo: (number | undefined)[] = [];
  /** Heads that were erased ahead of their marker. */
  readonly erased: string[] = [];
  /** Called before they are. */
  erases: (from: number) => void | Promise<void> = () => {};
  most = 0;
  #underWay = 0;
  refusesFrom = Infinity;

  override async replicate(batch: ReplicatedBatch) {
    if (batch.topic !== DELETE_TOPIC) return await super.replicate(batch);
    this.batches.push(batch.messages.map(({ headId }) => headId));
    this.erasedTo = batch.deletes.map(({ erasedTo }) => erasedTo);
    this.most = Math.max(this.most, ++this.#underWay);
    try {
      await super.heads();
      if ((batch.messages[0]?.headId ?? 0) >= this.refusesFrom) throw new StoreError("full", "secret path");
      return await super.replicate(batch);
    } finally {
      this.#underWay--;
    }
  }

  override async eraseRange(...range: Parameters<MemoryStore["eraseRange"]>) {
    const [, , from, to] = range;
    await this.erases(from);
    this.erased.push(`${from}-${to}`);
    return await super.eraseRange(...range);
  }
}

async function busWithRanges(limits: Partial<BusLimits> = { deletedHeads: 10 }) {
  const store = new MarkerStore();
  const bus = await openTestBus(store, limits);
  const copy = { origin: OTHER, incarnation: "x" };
  const messages = Array.from({ length: 40 }, (_, at) => message(at + 1, `m${at}`, Uint8Array.of(at)));
  await bus.replicate({ ...copy, topic: "t", messages });
  return { store, bus, copy: { ...copy, topic: DELETE_TOPIC } };
}

async function deletedCount(bus: Bus): Promise<number> {
  let count = 0;
  for await (const page of bus.fetch({ topic: "t", origin: OTHER, fromHeadId: 1, limit: 100 })) {
    count += page.filter(({ deleted }) => deleted).length;
  }
  return count;
}

Deno.test("Bus.replicate stores delete markers in slices, one after the other, and batches behind them in their order", async () => {
  const { store, bus, copy } = await busWithRanges();
  const first = [rangeMarker(1, 1, 4), rangeMarker(2, 5, 10), rangeMarker(3, 11, 20), rangeMarker(4, 41, 99)];
  const copied = [
    bus.replicate({ ...copy, messages: first }),
    bus.replicate({ ...copy, messages: [rangeMarker(5, 21, 29), rangeMarker(6, 30, 40)] }),
  ];
  assert.deepEqual(await Promise.all(copied), [4, 6]);
  assert.deepEqual(store.batches, [[1, 2], [3, 4], [5], [6]]);
  assert.equal(store.most, 1);
  assert.equal(await deletedCount(bus), 40);
});

Deno.test("Bus.replicate of delete markers that fails on its way keeps what was stored, and goes on from there", async () => {
  const { store, bus, copy } = await busWithRanges();
  const messages = [rangeMarker(1, 1, 10), rangeMarker(2, 11, 20), rangeMarker(3, 21, 30)];
  store.refusesFrom = 2;
  await assert.rejects(bus.replicate({ ...copy, messages }), isBusError("resource_exhausted"));
  assert.equal(bus.head(DELETE_TOPIC, OTHER), 1);
  assert.equal(await deletedCount(bus), 10);
  store.refusesFrom = Infinity;
  assert.equal(await bus.replicate({ ...copy, messages }), 3);
  assert.equal(await deletedCount(bus), 30);
});

Deno.test("Bus.replicate stores no slice behind one that contradicts another copy's, which came before them", async () => {
  const { bus, copy } = await busWithRanges();
  const first = bus.replicate({ ...copy, messages: [rangeMarker(1, 1, 10), rangeMarker(2, 11, 20)] });
  const other = [1, 2, 3].map((at) => ({ ...rangeMarker(at, 10 * at + 1, 10 * at + 10), id: `e${at}` }));
  await assert.rejects(
    bus.replicate({ ...copy, messages: other }),
    (error) => error instanceof ConflictError,
  );
  assert.equal(await first, 2);
  assert.equal(bus.head(DELETE_TOPIC, OTHER), 2);
  assert.equal(await deletedCount(bus), 20);
});

Deno.test("Bus.replicate stores no more slices of delete markers once the bus closes", async () => {
  const { store, bus, copy } = await busWithRanges();
  const messages = [rangeMarker(1, 1, 10), rangeMarker(2, 11, 20), rangeMarker(3, 21, 30)];
  const copied = bus.replicate({ ...copy, messages });
  await Promise.all([bus.close(), assert.rejects(copied, isBusError("unavailable"))]);
  assert.ok(store.batches.length <= 1);
});

for (const limits of [{ deletedHeads: 10 }, { deletedBytes: 10 }]) {
  const unit = Object.keys(limits)[0];
  Deno.test(`Bus.replicate erases what one marker deletes in parts of ${unit}, and stores it with the last`, async () => {
    const { store, bus, copy } = await busWithRanges(limits);
    const between: Promise<unknown>[] = [];
    const seen: unknown[] = [];
    store.erases = () => {
      between.push(publishText(bus, "u", "between"));
      seen.push(bus.head(DELETE_TOPIC, OTHER));
    };
    const messages = [rangeMarker(1, 1, 2), rangeMarker(2, 3, 99), rangeMarker(3, 99, 99)];
    assert.equal(await bus.replicate({ ...copy, messages }), 3);
    await Promise.all(between);
    assert.deepEqual(store.erased, ["3-12", "13-22", "23-32"]);
    assert.deepEqual(store.batches, [[1], [2, 3]]);
    assert.deepEqual(store.erasedTo, [32, undefined]);
    assert.deepEqual(seen, [1, 1, 1], "the marker comes when the rest is erased");
    assert.equal(await deletedCount(bus), 40);
    const late = [message(41, "m40")];
    assert.equal(await bus.replicate({ topic: "t", origin: OTHER, incarnation: "x", messages: late }), 41);
    assert.equal(await deletedCount(bus), 41, "it covers what arrives later");
  });
}

Deno.test("Bus.replicate of one long marker that fails in the middle goes on from there when it comes again", async () => {
  const { store, bus, copy } = await busWithRanges();
  const messages = [rangeMarker(1, 1, 40)];
  store.erases = (from) => from > 10 ? Promise.reject(new StoreError("full", "secret path")) : undefined;
  await assert.rejects(bus.replicate({ ...copy, messages }), isBusError("resource_exhausted"));
  assert.equal(bus.head(DELETE_TOPIC, OTHER), undefined);
  assert.equal(await deletedCount(bus), 10);
  store.erases = () => {};
  assert.equal(await bus.replicate({ ...copy, messages }), 1);
  assert.equal(await deletedCount(bus), 40);
});

Deno.test("Bus.replicate erases nothing for a marker behind others that contradict those stored, or are missing", async () => {
  const { store, bus, copy } = await busWithRanges();
  await bus.replicate({ ...copy, messages: [rangeMarker(1, 1, 1)] });
  const another = { ...rangeMarker(1, 1, 1), id: "another" };
  await assert.rejects(
    bus.replicate({ ...copy, messages: [another, rangeMarker(2, 2, 40)] }),
    (error) => error instanceof ConflictError,
  );
  await assert.rejects(
    bus.replicate({ ...copy, messages: [rangeMarker(3, 2, 40)] }),
    isBusError("failed_precondition"),
  );
  assert.deepEqual(store.erased, []);
  assert.equal(await deletedCount(bus), 1);
});

Deno.test("Bus.replicate deletes by a long marker all of a log that began anew while the one before it was erased", async () => {
  const { store, bus, copy } = await busWithRanges();
  const anew = Array.from({ length: 25 }, (_, at) => message(at + 1, `n${at}`));
  store.erases = async (from) => {
    if (from !== 11) return;
    await bus.archive("t", OTHER);
    await bus.replicate({ topic: "t", origin: OTHER, incarnation: "x", messages: anew });
  };
  assert.equal(await bus.replicate({ ...copy, messages: [rangeMarker(1, 1, 40)] }), 1);
  assert.deepEqual(store.erased, ["1-10", "11-20"]);
  assert.deepEqual(store.erasedTo, [undefined]);
  assert.equal(await deletedCount(bus), 25);
});
