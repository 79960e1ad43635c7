import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import { AuthorizedBus } from "./authorized_bus.ts";
import { Bus } from "./bus.ts";
import { BusError } from "./error.ts";
import { type GrantList, Grants } from "./grants.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
const NOTHING = new Uint8Array();

class Fixture implements AsyncDisposable {
  readonly bus: Bus;
  readonly #store: MemoryStore;

  private constructor(bus: Bus, store: MemoryStore) {
    this.bus = bus;
    this.#store = store;
  }

  static async open(): Promise<Fixture> {
    const store = new MemoryStore();
    const bus = await Bus.open({ store, node: NODE, clock: () => 0, random: () => {} });
    for (const topic of ["sensors.a", "sensors.b", "orders"]) {
      await bus.publish({ topic, payload: NOTHING, headers: NOTHING });
    }
    return new Fixture(bus, store);
  }

  as(list: GrantList): AuthorizedBus {
    return new AuthorizedBus(this.bus, `"me"`, new Grants(list), new AbortController().signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.bus.close();
    await this.#store.close();
  }
}

/** Every call, the grant that it needs, and one of the same kind that does not cover it. */
const CALLS: Readonly<Record<string, readonly [(bus: AuthorizedBus) => unknown, GrantList, GrantList]>> = {
  publish: [
    (bus) => bus.publish({ topic: "sensors.a", payload: NOTHING, headers: NOTHING }),
    { publish: ["sensors.>"] },
    { publish: ["orders"] },
  ],
  openProducer: [
    (bus) => bus.openProducer({ id: "p", epoch: 0 }),
    { publish: ["orders"] },
    { subscribe: [">"], fifo: [">"], sync: true, admin: true },
  ],
  head: [(bus) => bus.head("sensors.a"), { subscribe: ["sensors.*"] }, { subscribe: ["orders"] }],
  fetch: [
    (bus) => Array.fromAsync(bus.fetch({ topic: "sensors.a", fromHeadId: 1, limit: 1 })),
    { subscribe: ["sensors.a"] },
    { subscribe: ["sensors.b"] },
  ],
  subscribe: [
    (bus) => bus.subscribe({ topic: "sensors.a", fromHeadId: 1, pageSize: 1 }).close(),
    { subscribe: ["sensors.a"] },
    { subscribe: ["sensors.b"], publish: [">"], fifo: [">"], admin: true },
  ],
  "reading as a peer": [(bus) => bus.head("sensors.a"), { sync: true }, { publish: [">"] }],
  deleteRange: [
    (bus) => bus.deleteRange({ topic: "orders", fromHeadId: 1, toHeadId: 1 }),
    { admin: true },
    { publish: [">"], subscribe: [">"], fifo: [">"], sync: true },
  ],
  peerSyncStates: [(bus) => bus.peerSyncStates(), { admin: true }, { sync: true }],
  enqueueFifo: [
    (bus) =>
      bus.enqueueFifo({ queue: "jobs", topic: "jobs", target: NODE, payload: NOTHING, headers: NOTHING }),
    { fifo: ["jobs"] },
    { fifo: ["other"], publish: [">"], admin: true },
  ],
  ackFifo: [(bus) => bus.ackFifo("jobs", "x"), { fifo: ["jobs"] }, { fifo: ["other"] }],
  rejectFifo: [(bus) => bus.rejectFifo("jobs", "x"), { fifo: ["jobs"] }, { fifo: ["other"] }],
};

for (const [name, [call, enough, wrong]] of Object.entries(CALLS)) {
  Deno.test(`AuthorizedBus: ${name} needs its grant, whatever else there is`, async () => {
    await using fixture = await Fixture.open();
    await call(fixture.as(enough));
    for (const list of [wrong, {}]) {
      await assert.rejects(
        async () => await call(fixture.as(list)),
        (error) =>
          error instanceof BusError && error.code === "permission_denied" && /"me"/.test(error.message),
      );
    }
  });
}

Deno.test("AuthorizedBus: producers of different callers never meet, nor those of nobody", async () => {
  await using fixture = await Fixture.open();
  const grants = new Grants({ publish: [">"] });
  const { signal } = new AbortController();
  const callers = ['"a"', '"b"'].map((name) => new AuthorizedBus(fixture.bus, name, grants, signal));
  for (const bus of [...callers, fixture.bus]) {
    const producer = await bus.openProducer({ id: "p", epoch: 0 });
    assert.deepEqual([producer.epoch, producer.lastSequence], [1, 0]);
    const messages = [{ topic: "orders", payload: NOTHING, headers: NOTHING }];
    const [outcome] = await bus.publishBatch({ messages, producer, firstSequence: 1 });
    assert.ok(outcome?.kind === "published" && !outcome.duplicate);
  }
  assert.equal((await callers[0]?.openProducer({ id: "p", epoch: 0 }))?.epoch, 2);
});

Deno.test("AuthorizedBus: peekFifo is refused before it tells whether the queue is empty", async () => {
  await using fixture = await Fixture.open();
  const codeOf = (list: GrantList) =>
    fixture.as(list).peekFifo("jobs").catch((error) => error instanceof BusError ? error.code : error);
  assert.equal(await codeOf({ fifo: ["jobs"] }), "not_found");
  assert.equal(await codeOf({ fifo: ["other"] }), "permission_denied");
});

Deno.test("AuthorizedBus.heads are those that may be read; an admin and a peer see all", async () => {
  await using fixture = await Fixture.open();
  const seen = (list: GrantList) => fixture.as(list).heads().map(({ topic }) => topic).sort();
  assert.deepEqual(seen({ subscribe: ["sensors.>"] }), ["sensors.a", "sensors.b"]);
  assert.deepEqual(seen({}), []);
  assert.deepEqual(seen({ admin: true }), ["orders", "sensors.a", "sensors.b"]);
  assert.deepEqual(seen({ sync: true }), ["orders", "sensors.a", "sensors.b"]);
});
