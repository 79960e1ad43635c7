import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import type { ReplicatedBatch, ReplicatedMessage } from "../store/store.ts";
import { encodeDeleteMarker } from "./delete_marker.ts";
import { ConflictError } from "./error.ts";
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
