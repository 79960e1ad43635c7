import assert from "node:assert/strict";
import { AdaptiveSpin } from "./adaptive_spin.ts";

Deno.test("AdaptiveSpin waits awake at first, and as long as waits are short", () => {
  const spin = new AdaptiveSpin(0.5);
  assert.equal(spin.ms, 0.5);
  spin.waited(0.4);
  assert.equal(spin.ms, 0.5);
});

Deno.test("AdaptiveSpin falls asleep at once after a long wait, until one was short again", () => {
  const spin = new AdaptiveSpin(0.5);
  spin.waited(0.5);
  assert.equal(spin.ms, 0);
  spin.waited(20);
  assert.equal(spin.ms, 0);
  spin.waited(0.3);
  assert.equal(spin.ms, 0.5);
});

Deno.test("AdaptiveSpin with a limit of 0 never waits awake", () => {
  const spin = new AdaptiveSpin(0);
  spin.waited(0);
  assert.equal(spin.ms, 0);
});
