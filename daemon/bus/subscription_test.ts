import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { MemoryStore } from "../store/memory/store.ts";
import type { Store } from "../store/store.ts";
import type { Bus } from "./bus.ts";
import type { BusLimits } from "./limits.ts";
import type { Subscription } from "./subscription.ts";
import { isBusError, LOCAL, openTestBus, OTHER, publishText, seededRandom, textOf } from "./test_bus.ts";

function follow(bus: Bus, fromHeadId = 0, pageSize = 0): Subscription {
  return bus.subscribe({ topic: "t", fromHeadId, pageSize });
}

/** Counts the pages that are read from the store. */
class CountingStore extends MemoryStore {
  reads = 0;
  override read(...parameters: Parameters<Store["read"]>): ReturnType<Store["read"]> {
    this.reads++;
    return super.read(...parameters);
  }
}

Deno.test("Subscription.next gives what is stored, then waits for what is live", async () => {
  const bus = await openTestBus(new MemoryStore());
  for (let i = 1; i <= 5; i++) await publishText(bus, "t", `${i}`);
  const subscription = follow(bus, 2, 3);
  assert.deepEqual((await subscription.next()).map(textOf), ["2", "3", "4"]);
  assert.deepEqual((await subscription.next()).map(textOf), ["5"]);
  const live = subscription.next();
  await publishText(bus, "other topic", "x");
  await publishText(bus, "t", "6");
  assert.deepEqual((await live).map(textOf), ["6"]);
  subscription.close();
});

Deno.test("Subscription.next gives live subscribers the same message without reading the store", async () => {
  const store = new CountingStore();
  const bus = await openTestBus(store);
  const [one, two] = [follow(bus), follow(bus)];
  const waiting = one.next();
  const published = await publishText(bus, "t", "1");
  assert.equal((await waiting)[0], published);
  assert.equal((await two.next())[0], published);
  assert.equal(store.reads, 0);
});

Deno.test("Subscription: what all followers of a log have is not kept in memory, what one lacks is", async () => {
  const store = new CountingStore();
  const bus = await openTestBus(store);
  const [quick, slow] = [follow(bus), follow(bus)];
  for (let i = 1; i <= 3; i++) {
    const waiting = quick.next();
    await publishText(bus, "t", `${i}`);
    assert.deepEqual((await waiting).map(textOf), [`${i}`]);
  }
  assert.deepEqual((await slow.next()).map(textOf), ["1", "2", "3"]);
  assert.equal(store.reads, 0);
  await publishText(bus, "t", "4"); // with it goes what both have
  const late = follow(bus, 2);
  assert.deepEqual((await late.next()).map(textOf), ["2", "3", "4"]);
  assert.equal(store.reads, 1);
});

Deno.test("Subscription.next of a log that comes later starts at its own first head", async () => {
  const bus = await openTestBus(new MemoryStore());
  const [first, third] = [follow(bus), follow(bus, 3)];
  const waiting = [first.next(), third.next()];
  for (let i = 1; i <= 4; i++) await publishText(bus, "t", `${i}`);
  const [one, three] = await Promise.all(waiting);
  assert.deepEqual(one?.map(textOf), ["1"]);
  assert.deepEqual(three?.map(textOf), ["3"]);
  assert.deepEqual((await third.next()).map(textOf), ["4"]);
});

Deno.test("Subscription.next serves a slow reader from the store when memory has moved on", async () => {
  const store = new CountingStore();
  const bus = await openTestBus(store, { recentMessagesPerLog: 3 });
  const subscription = follow(bus, 0, 2);
  for (let i = 1; i <= 8; i++) await publishText(bus, "t", `${i}`);
  const got: string[] = [];
  while (got.length < 8) got.push(...(await subscription.next()).map(textOf));
  assert.deepEqual(got, ["1", "2", "3", "4", "5", "6", "7", "8"]);
  assert.equal(store.reads, 3);
});

Deno.test("Subscription.next: a deleted message is delivered without its payload, wherever it is read from", async () => {
  const store = new CountingStore();
  const bus = await openTestBus(store);
  const [live, late] = [follow(bus), follow(bus, 1, 2)];
  for (let i = 1; i <= 3; i++) await publishText(bus, "t", `${i}`);
  await bus.deleteRange({ topic: "t", fromHeadId: 2, toHeadId: 2 });
  for (const page of [await live.next(), [...await late.next(), ...await late.next()]]) {
    assert.deepEqual(page.map(textOf), ["1", "", "3"]);
    assert.deepEqual(page.map(({ deleted }) => deleted), [false, true, false]);
  }
  assert.equal(store.reads, 0);
  live.close();
  late.close();
  assert.deepEqual((await follow(bus).next()).map(textOf), ["1", "", "3"]);
});

Deno.test("Subscription.next gives nothing of a message that was deleted while its page was on its way", async () => {
  class SlowStore extends CountingStore {
    release = (): void => {};
    override async read(...parameters: Parameters<Store["read"]>): ReturnType<Store["read"]> {
      const page = await super.read(...parameters);
      if (this.reads === 1) await new Promise<void>((resolve) => this.release = resolve);
      return page;
    }
  }
  const store = new SlowStore();
  const bus = await openTestBus(store);
  await publishText(bus, "t", "secret");
  const page = follow(bus).next();
  await bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 1 });
  store.release();
  assert.deepEqual((await page).map(textOf), [""]);
});

Deno.test("Subscription.next goes on while others delete without a pause", async () => {
  class BusyStore extends CountingStore {
    override async read(...parameters: Parameters<Store["read"]>): ReturnType<Store["read"]> {
      const page = await super.read(...parameters);
      assert.ok(this.reads <= 10, "the page is read again and again");
      await bus.deleteRange({ topic: "t", fromHeadId: this.reads + 1, toHeadId: this.reads + 1 });
      return page;
    }
  }
  const bus = await openTestBus(new BusyStore());
  for (let i = 1; i <= 20; i++) await publishText(bus, "t", `${i}`);
  assert.deepEqual((await follow(bus, 1, 3).next()).map(textOf), ["1", "", "3"]);
});

Deno.test("Subscription.next ends by its signal and goes on afterwards", async () => {
  const bus = await openTestBus(new MemoryStore());
  const subscription = follow(bus);
  const reason = new Error("enough");
  await assert.rejects(subscription.next(AbortSignal.abort(reason)), reason);
  const controller = new AbortController();
  const waiting = subscription.next(controller.signal);
  controller.abort(reason);
  await assert.rejects(waiting, reason);
  await publishText(bus, "t", "1");
  assert.deepEqual((await subscription.next(new AbortController().signal)).map(textOf), ["1"]);
});

Deno.test("Subscription.next refuses a second call while the first one waits", async () => {
  const bus = await openTestBus(new MemoryStore());
  const subscription = follow(bus);
  const waiting = subscription.next();
  await assert.rejects(subscription.next(), isBusError("failed_precondition"));
  await publishText(bus, "t", "1");
  assert.equal((await waiting).length, 1);
});

Deno.test("Subscription.close ends a waiting next with an empty page", async () => {
  const bus = await openTestBus(new MemoryStore());
  const subscription = follow(bus);
  const waiting = subscription.next();
  subscription.close();
  subscription.close();
  assert.deepEqual(await waiting, []);
  assert.deepEqual(await subscription.next(), []);
});

Deno.test("Bus.subscribe checks its names; reserved topics and other origins may be followed", async () => {
  const bus = await openTestBus(new MemoryStore());
  const request = { topic: "t", fromHeadId: 0, pageSize: 0 };
  assert.throws(() => bus.subscribe({ ...request, topic: "" }), isBusError("invalid_argument", "topic"));
  const origin = { ...LOCAL, tenantId: "a\0" };
  assert.throws(
    () => bus.subscribe({ ...request, origin }),
    isBusError("invalid_argument", "origin.tenant_id"),
  );
  bus.subscribe({ ...request, topic: "$msgbus.delete", origin: OTHER }).close();
});

/**
 * Publishers at full speed, readers that join anywhere, with pages and memory of all sizes, some of them slow: each
 * must get every head from its start on, once and in order.
 */
async function checkSeam(seed: number, limits: Partial<BusLimits>, total: number): Promise<void> {
  const random = seededRandom(seed);
  const bus = await openTestBus(new MemoryStore(), limits);
  let published = 0;
  const publishers = Array.from({ length: 8 }, async () => {
    while (published < total) {
      published++;
      await publishText(bus, "t", "x".repeat(random(50)));
      if (random(4) === 0) await setImmediate();
    }
  });
  const readers = Array.from({ length: 25 }, async (_, reader) => {
    const joinAt = random(total);
    while (published < joinAt) await setImmediate();
    const from = 1 + random(total);
    const subscription = follow(bus, from, 1 + random(20));
    const slow = random(3) === 0;
    let expected = from;
    while (expected <= total) {
      for (const { headId } of await subscription.next()) {
        assert.equal(headId, expected++, `seed ${seed}, reader ${reader}`);
      }
      if (slow) await setImmediate();
    }
    subscription.close();
  });
  await Promise.all([...publishers, ...readers]);
}

Deno.test("Subscription has no gap and no double where the stored past meets the live present", async () => {
  const all = [
    {},
    { recentMessagesPerLog: 1 },
    { recentMessagesPerLog: 5 },
    { recentBytesPerLog: 1_000 },
    { recentBytes: 2_000 },
    { recentBytes: 0 },
    { pageBytes: 100, recentMessagesPerLog: 20 },
  ];
  for (const [at, limits] of all.entries()) await checkSeam(20_251_120 + at, limits, 1_200);
});
