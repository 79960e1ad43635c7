import assert from "node:assert/strict";
import { loadOnce } from "./load_once.ts";

Deno.test("loadOnce loads when it is wanted, once for all who want it", async () => {
  let loads = 0;
  const loaded = loadOnce(() => Promise.resolve(++loads));
  assert.equal(loads, 0);
  assert.deepEqual(await Promise.all([loaded(), loaded()]), [1, 1]);
  assert.equal(await loaded(), 1);
});

Deno.test("loadOnce loads again after a failure, which those who waited for it hear of", async () => {
  let loads = 0;
  const loaded = loadOnce(() =>
    ++loads === 1 ? Promise.reject(new Error("too many files")) : Promise.resolve(loads)
  );
  const [first, second] = [loaded(), loaded()];
  await assert.rejects(first, /too many files/);
  await assert.rejects(second, /too many files/);
  assert.equal(await loaded(), 2);
});
