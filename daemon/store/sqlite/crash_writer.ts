/**
 * Run as a process of its own by store_test.ts, which kills it: appends to three logs without end and prints one
 * line per acknowledged append, so that the test knows what must be there afterwards. The payload of a message is its id.
 */
import { testMessage } from "../contract.ts";
import { SqliteStore } from "./store.ts";

const store = await SqliteStore.open({ path: Deno.args[0] ?? "" });
const out = new TextEncoder();

/** Appends whose ids have `number` in them, of one message up to more than a chunk holds. */
async function write(topic: string, number: number): Promise<never> {
  for (let first = 0;;) {
    const count = 1 + first * 7 % 300;
    const batch = Array.from({ length: count }, (_, at) => {
      const id = `018f0000-1234-7abc-8de${number}-${(first + at).toString(16).padStart(12, "0")}`;
      const message = { ...testMessage(topic, id), id, createdAtMs: 0x018f_0000_1234 };
      return at % 100 === 0 ? message : { ...message, follows: true };
    });
    first += count;
    const placed = await store.append(batch);
    Deno.stdout.writeSync(out.encode(`${topic} ${placed.at(-1)?.headId}\n`));
  }
}

await Promise.all([write("t", 1), write("t", 2), write("u", 3), write("v", 4)]);
