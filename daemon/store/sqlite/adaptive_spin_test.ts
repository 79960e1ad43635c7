import assert from "node:assert/strict";
import { AdaptiveSpin } from "./adaptive_spin.ts";

/** How many waits of a length it takes until the next one is awake, or asleep. */
function waitsUntil(spin: AdaptiveSpin, isAwake: boolean, ms: number): number {
  for (let waits = 0; waits < 1_000; waits++) {
    if (spin.ms > 0 === isAwake) return waits;
    spin.waited(ms);
  }
  return Infinity;
}

Deno.test("AdaptiveSpin waits awake at first, and as long as waits are short", () => {
  const spin = new AdaptiveSpin(0.5, 2);
  assert.equal(spin.ms, 2);
  assert.equal(waitsUntil(spin, false, 0.4), Infinity);
  assert.equal(spin.ms, 2);
});

Deno.test("AdaptiveSpin waits awake also after a wait that was a little longer for once", () => {
  const spin = new AdaptiveSpin(0.5, 2);
  for (let i = 0; i < 20; i++) spin.waited(0.05);
  spin.waited(1.5);
  assert.equal(spin.ms, 2);
});

Deno.test("AdaptiveSpin sleeps at once after a pause, and until a dozen waits were short again", () => {
  const spin = new AdaptiveSpin(0.5, 2);
  spin.waited(1_000);
  assert.equal(spin.ms, 0);
  assert.equal(waitsUntil(spin, true, 1_000), Infinity);
  const paused = new AdaptiveSpin(0.5, 2);
  paused.waited(1_000);
  assert.equal(waitsUntil(paused, true, 0.1), 12);
});

Deno.test("AdaptiveSpin sleeps where waits are as long as what is short, however even they are", () => {
  assert.ok(waitsUntil(new AdaptiveSpin(0.5, 2), false, 0.6) < 20);
});

Deno.test("AdaptiveSpin with limits of 0 never waits awake", () => {
  const spin = new AdaptiveSpin(0, 0);
  assert.equal(spin.ms, 0);
  spin.waited(0);
  assert.equal(spin.ms, 0);
});
