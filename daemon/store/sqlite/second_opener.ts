/** Run as a process of its own by store_test.ts: tries to open the store and prints what came of it. */
import { StoreError } from "../error.ts";
import { SqliteStore } from "./store.ts";

try {
  const store = await SqliteStore.open({ path: Deno.args[0] ?? "" });
  await store.close();
  console.log("opened");
} catch (error) {
  console.log(error instanceof StoreError ? `${error.code}: ${error.message}` : String(error));
}
