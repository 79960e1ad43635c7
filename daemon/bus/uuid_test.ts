import assert from "node:assert/strict";
import { seededRandom } from "./test_bus.ts";
import { UuidGenerator } from "./uuid.ts";

function generator(byte: () => number): UuidGenerator {
  return new UuidGenerator((into) => into.forEach((_, at) => into[at] = byte()));
}

Deno.test("UuidGenerator.next has the form, version, variant and time of RFC 9562 §5.7", () => {
  const random = seededRandom(3);
  const uuids = generator(() => random(256));
  for (let now = 0x0123456789ab; now < 0x0123456789ab + 2000; now++) {
    const id = uuids.next(now);
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(parseInt(id.slice(0, 8) + id.slice(9, 13), 16), now);
  }
});

Deno.test("UuidGenerator.next increases when the clock stands still, goes back and goes on", () => {
  const random = seededRandom(5);
  const uuids = generator(() => random(256));
  const times = [1000, 1000, 1000, 999, 1, 1000, 1001, 1001, 5];
  let last = "";
  for (let i = 0; i < 20_000; i++) {
    const id = uuids.next(times[i % times.length] ?? 0);
    assert.ok(id > last, `${id} after ${last}`);
    last = id;
  }
});

Deno.test("UuidGenerator.next goes into the next millisecond when the counter of one is used up", () => {
  const uuids = generator(() => 255); // the counter starts as high as it can: half its range is left
  let last = uuids.next(1000);
  const half = 2 ** 17;
  for (let i = 0; i <= half; i++) {
    const id = uuids.next(1000);
    assert.ok(id > last);
    assert.equal(parseInt(id.slice(0, 8) + id.slice(9, 13), 16), i < half ? 1000 : 1001);
    last = id;
  }
});
