import assert from "node:assert/strict";
import { Histogram } from "./histogram.ts";

Deno.test("Histogram keeps three digits from 1 µs to 60 s", () => {
  for (
    const us of [0, 1, 999, 2_047, 2_048, 2_049, 4_095, 4_096, 65_537, 1_234_567, 59_999_999, 60_000_000]
  ) {
    const histogram = new Histogram();
    histogram.record(us / 1_000);
    // Another, so that the maximum does not bound the first.
    histogram.record(61_000);
    const found = histogram.quantileUs(0.5) ?? NaN;
    assert.ok(found >= us && found <= us * 1.001 + 1, `${us} was found as ${found}`);
  }
});

Deno.test("Histogram agrees with the sorted values", () => {
  const histogram = new Histogram();
  const values: number[] = [];
  for (let i = 1, seed = 7; i <= 10_000; i++) {
    seed = (seed * 48_271) % 2_147_483_647;
    const us = Math.floor(2 ** (seed / 2_147_483_647 * 25));
    values.push(us);
    histogram.record(us / 1_000);
  }
  values.sort((a, b) => a - b);
  for (const part of [0.5, 0.9, 0.99, 0.999]) {
    const expected = values[Math.ceil(values.length * part) - 1] ?? NaN;
    const found = histogram.quantileUs(part) ?? NaN;
    assert.ok(
      Math.abs(found - expected) <= expected / 1_000 + 1,
      `p${part * 100}: ${found}, not ${expected}`,
    );
  }
  assert.equal(histogram.maxUs, values[values.length - 1]);
});

Deno.test("Histogram.quantileUs says nothing where there are too few samples", () => {
  const histogram = new Histogram();
  assert.equal(histogram.quantileUs(0.5), undefined);
  for (let i = 1; i < 1_000; i++) histogram.record(1);
  assert.equal(histogram.quantileUs(0.99), 1_000);
  assert.equal(histogram.quantileUs(0.999), undefined);
  histogram.record(1);
  assert.equal(histogram.quantileUs(0.999), 1_000);
});

Deno.test("Histogram counts what is beyond 60 s, and tells it as the maximum", () => {
  const histogram = new Histogram();
  for (let i = 0; i < 3; i++) histogram.record(90_000);
  histogram.record(-1);
  assert.deepEqual([histogram.count, histogram.maxUs], [4, 90_000_000]);
});
