/**
 * Run as a process of its own by crash_test.ts, which kills it: deletes the heads 1 to 60 of the log "t", its own or a
 * copied one by a single marker, in parts of three, and prints a line for each part that is durable. After as many parts
 * as it is told it stands still.
 */
import { Bus } from "../daemon/bus/bus.ts";
import { encodeDeleteMarker } from "../daemon/bus/delete_marker.ts";
import { SqliteStore } from "../daemon/store/sqlite/store.ts";

const [path = "", whose = "", most = ""] = Deno.args;
const LOCAL = { tenantId: "tenant", blName: "line", deviceId: "local" };
const origin = whose === "own" ? LOCAL : { ...LOCAL, deviceId: "other" };
const NO_BYTES = new Uint8Array();
const COUNT = 60;
const PAYLOAD = 40_000;

const store = await SqliteStore.open({ path });
let parts = 0;

async function told<T>(part: Promise<T>): Promise<T> {
  const done = await part;
  Deno.stdout.writeSync(new TextEncoder().encode("deleted\n"));
  if (++parts === Number(most)) await new Promise(() => setInterval(() => {}, 1_000));
  return done;
}

const { deleteRange, eraseRange } = SqliteStore.prototype;
store.deleteRange = (...range) => told(deleteRange.apply(store, range));
store.eraseRange = (...range) => told(eraseRange.apply(store, range));
const bus = await Bus.open({
  store,
  node: LOCAL,
  clock: Date.now,
  random: (into) => crypto.getRandomValues(into),
  limits: { deletedBytes: 3 * (PAYLOAD + 1_000) },
});
const copy = { origin, incarnation: "x" };
if (bus.head("t", origin) === undefined) {
  for (let headId = 1; headId <= COUNT; headId++) {
    const payload = new Uint8Array(PAYLOAD).fill(headId);
    if (whose === "own") await bus.publish({ topic: "t", payload, headers: NO_BYTES });
    else {
      const message = { headId, id: `${headId}`, createdAtMs: 1, payload, headers: NO_BYTES, deleted: false };
      await bus.replicate({ ...copy, topic: "t", messages: [message] });
    }
  }
}
if (whose === "own") await bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: COUNT });
else {
  const payload = encodeDeleteMarker("t", origin, 1, COUNT, 1);
  const marker = { headId: 1, id: "marker", createdAtMs: 1, payload, headers: NO_BYTES, deleted: false };
  await bus.replicate({ ...copy, topic: "$msgbus.delete", messages: [marker] });
}
await bus.close();
await store.close();
