/**
 * Run as a process of its own by store_test.ts, which kills it: appends to two logs without end and prints one line
 * per acknowledged append, so that the test knows what must be there afterwards.
 */
import { testMessage } from "../contract.ts";
import { SqliteStore } from "./store.ts";

const store = await SqliteStore.open({ path: Deno.args[0] ?? "" });
const out = new TextEncoder();

async function write(topic: string): Promise<never> {
  for (;;) {
    const placed = await store.append([testMessage(topic, "x"), testMessage(topic, "y")]);
    Deno.stdout.writeSync(out.encode(`${topic} ${placed.at(-1)?.headId}\n`));
  }
}

await Promise.all([write("t"), write("t"), write("u")]);
