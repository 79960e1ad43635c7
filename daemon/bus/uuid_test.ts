import assert from "node:assert/strict";
import { seededRandom } from "./test_bus.ts";
import { Uuid, UuidGenerator } from "./uuid.ts";

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

/** The UUID as a number of 128 bits. */
function numberOf(id: string): bigint {
  return BigInt(`0x${id.replaceAll("-", "")}`);
}

Deno.test("UuidGenerator.next is the one before plus one within a millisecond, and random in the next", () => {
  const random = seededRandom(9);
  const uuids = generator(() => random(256));
  const first = uuids.next(1000);
  assert.equal(numberOf(uuids.next(1000)), numberOf(first) + 1n);
  assert.equal(numberOf(uuids.next(7)), numberOf(first) + 2n);
  const tails = new Set(Array.from({ length: 2000 }, (_, at) => uuids.next(1001 + at).slice(14)));
  assert.equal(tails.size, 2000);
});

Deno.test("UuidGenerator.next counts on from the highest start without leaving its bits", () => {
  const uuids = generator(() => 255);
  const first = uuids.next(1000);
  assert.equal(first.slice(14), "7fff-9fff-ffffffffffff");
  assert.equal(uuids.next(1000).slice(14), "7fff-a000-000000000000");
  assert.equal(uuids.next(1000).slice(14), "7fff-a000-000000000001");
});

Deno.test("UuidGenerator.take hands out as many ids as it says, each the one before plus one", () => {
  const random = seededRandom(11);
  const uuids = generator(() => random(256));
  let next = numberOf(uuids.take(1000, 1).text) + 1n;
  for (const count of [1, 7, 1000, 2 ** 40, 3]) {
    const first = uuids.take(1000, count);
    assert.equal(numberOf(first.text), next);
    assert.equal(numberOf(first.plus(count - 1).text), next + BigInt(count - 1));
    assert.ok(first.plus(0).text === first.text);
    next += BigInt(count);
  }
});

Deno.test("Uuid.plus carries over the last dash", () => {
  const uuid = new Uuid("018f0000-1234-7abc-8fff-", 0xffff_ffff_fffe);
  assert.equal(uuid.plus(1).text, "018f0000-1234-7abc-8fff-ffffffffffff");
  assert.equal(uuid.plus(2).text, "018f0000-1234-7abc-9000-000000000000");
  assert.equal(uuid.plus(300).text, "018f0000-1234-7abc-9000-00000000012a");
});
