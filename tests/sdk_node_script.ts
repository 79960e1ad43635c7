/** What `sdk_node_test.ts` runs under Node: one command per line of its output. */
import { connect, MsgbusError } from "@msgbus/sdk";
import process from "node:process";

const [tcp = "", unix = ""] = process.argv.slice(2);

function tell(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

const overTcp = connect(tcp);
const overUnix = connect(unix, { backoff: { initialMs: 10, maxMs: 50 } });

const published = await overTcp.publish("orders", { from: "node" }, { headers: { a: "b" } });
tell({ headId: published.headId, json: published.json(), headers: published.headers });
await overUnix.publish("orders", Uint8Array.of(0, 255));
await overUnix.publish("orders", "x".repeat(1_000_000));

const keyed = () => overTcp.publish("keyed", "once", { idempotencyKey: "k" });
const [one, two, three] = [await keyed(), ...await Promise.all([keyed(), keyed()])];
tell([one.id === two?.id, one.id === three?.id, three?.headId]);

const replayed: unknown[] = [];
for await (const { headId, payload } of overTcp.fetch("orders")) replayed.push([headId, payload.length]);
tell(replayed);

const queue = overTcp.fifo("jobs");
const { id } = await queue.enqueue("work");
tell([(await queue.peek())?.text(), await queue.ack(id), await queue.peek() === undefined]);

try {
  await overTcp.publish("$msgbus.x", "");
} catch (error) {
  tell(error instanceof MsgbusError ? error.code : String(error));
}
await overTcp.close();

let reconnects = 0;
const stream = overUnix.subscribe("orders", { onReconnect: () => reconnects++ });
for await (const { headId } of stream) {
  tell({ headId, reconnected: reconnects > 0 });
  if (headId === 5) break;
}
await overUnix.close();
