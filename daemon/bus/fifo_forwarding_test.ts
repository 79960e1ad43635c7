import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import { type Appended, type NewMessage, StoreError } from "../store/store.ts";
import { encodeHeaders } from "./headers.ts";
import { HeldTimers, LOCAL, openTestBus, OTHER } from "./test_bus.ts";

const RECEIPTS = "$msgbus.fifo-received.tenant/line/other";

/** A store that has no space for what is published, until it is told. */
class FullStore extends MemoryStore {
  full = true;
  refused = 0;

  override append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    if (!this.full) return super.append(batch);
    this.refused++;
    return Promise.reject(new StoreError("full", "the disk is full"));
  }
}

Deno.test("FifoForwarding says what came where the store has space again, and asks less and less often before", async () => {
  const store = new FullStore();
  const timers = new HeldTimers();
  const bus = await openTestBus(store, {}, timers.timer);
  const topic = `$msgbus.fifo.${[LOCAL.tenantId, LOCAL.blName, LOCAL.deviceId].join("/")}`;
  const message = {
    headId: 1,
    id: "i",
    createdAtMs: 1,
    payload: new Uint8Array(),
    headers: encodeHeaders({ "$msgbus.queue": "q", "$msgbus.topic": "t" }),
    deleted: false,
  };
  await bus.replicate({ topic, origin: OTHER, incarnation: "", messages: [message] });
  assert.equal((await bus.peekFifo("q")).id, "i");
  const waits: number[] = [];
  for (let attempt = 1; attempt <= 9; attempt++) {
    waits.push(...timers.waiting);
    timers.fire();
    while (timers.waiting.length === 0) await new Promise((resolve) => setTimeout(resolve));
    assert.equal(store.refused, attempt);
  }
  assert.deepEqual(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000, 10_000]);
  store.full = false;
  timers.fire();
  while (bus.logHead(RECEIPTS, LOCAL).headId === 0) await new Promise((resolve) => setTimeout(resolve));
  await bus.close();
});
