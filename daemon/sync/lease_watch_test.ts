import assert from "node:assert/strict";
import { LeaseWatch } from "./lease_watch.ts";
import type { LeaseHolder } from "./leases.ts";
import { PACE_WINDOW_MS } from "./limits.ts";

const SECOND = 1_000;

function holder(): LeaseHolder {
  return { yieldLog: () => false, leaseFreed: () => {} };
}

Deno.test("LeaseWatch.pace is what was copied of late, by who copies it now", () => {
  const [slow, other] = [holder(), holder()];
  const watch = new LeaseWatch(slow, 10);
  let head = 10;
  for (let ms = SECOND; ms < PACE_WINDOW_MS; ms += SECOND) {
    watch.look(SECOND, slow, ++head);
    assert.equal(watch.pace, undefined, "too early to tell");
  }
  watch.look(SECOND, slow, ++head);
  assert.equal(watch.pace, 1 / SECOND);
  for (let ms = 0; ms < PACE_WINDOW_MS; ms += SECOND) watch.look(SECOND, slow, head);
  assert.equal(watch.pace, 0, "it was quicker before");
  watch.look(SECOND, other, head);
  assert.equal(watch.pace, undefined);
  watch.look(PACE_WINDOW_MS, other, head + PACE_WINDOW_MS);
  assert.equal(watch.pace, 1);
  watch.look(PACE_WINDOW_MS, other, 0);
  assert.equal(watch.pace, 0, "the log was set aside");
});

Deno.test("LeaseWatch.stalledMs counts from the last message on, for each who copies it", () => {
  const [first, other] = [holder(), holder()];
  const watch = new LeaseWatch(first, 1);
  watch.look(SECOND, first, 1);
  watch.look(SECOND, first, 1);
  assert.equal(watch.stalledMs, 2 * SECOND);
  watch.look(SECOND, first, 2);
  assert.equal(watch.stalledMs, 0);
  watch.look(SECOND, first, 2);
  watch.look(SECOND, other, 2);
  assert.equal(watch.stalledMs, 0);
});
