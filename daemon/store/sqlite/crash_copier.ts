/**
 * Run as a process of its own by replication_test.ts, which kills it: copies batches of three messages without end and
 * prints the head of each acknowledged one. Each deletes the first message of the batch after it and the second of the
 * one before it, and puts one message into a queue.
 */
import { NODE_B, testFifoMessage } from "../contract.ts";
import { replicatedBatch } from "../test_replication_contract.ts";
import { SqliteStore } from "./store.ts";

const store = await SqliteStore.open({ path: Deno.args[0] ?? "" });
const out = new TextEncoder();
const known = (await store.heads()).find(({ topic }) => topic === "t");

/** Copies what is sent at once, before the answers: several batches share a commit. */
async function copy(head: number): Promise<void> {
  const deletes = [{ topic: "t", from: head + 4, to: head + 4 }];
  if (head > 0) deletes.push({ topic: "t", from: head - 1, to: head - 1 });
  const { headId } = await store.replicate(replicatedBatch(head + 1, head + 3, {
    origin: NODE_B,
    incarnation: "i",
    deletes,
    enqueues: [{ headId: head + 2, message: testFifoMessage("q", `f${head}`) }],
  }));
  Deno.stdout.writeSync(out.encode(`${headId}\n`));
}

for (let head = known?.headId ?? 0;; head += 9) {
  await Promise.all([copy(head), copy(head + 3), copy(head + 6)]);
}
