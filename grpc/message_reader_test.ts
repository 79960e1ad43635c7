import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteBudget } from "./byte_budget.ts";
import { FramedMessage, messagePrefix, MessageReader } from "./message_reader.ts";
import { Status, StatusError } from "./status.ts";

function framed(messages: readonly Uint8Array[]): Uint8Array {
  const pieces = messages.map((message) => FramedMessage.of(message).bytes);
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

function read(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const reader = new MessageReader(1_000, new ByteBudget(10_000));
  const messages: Uint8Array[] = [];
  let from = 0;
  for (const to of [...cuts, bytes.length]) {
    reader.push(bytes.subarray(from, to));
    for (let message = reader.next(); message !== undefined; message = reader.next()) messages.push(message);
    assert.equal(reader.complete, framedLength(messages) === to, `after ${to} bytes`);
    from = to;
  }
  return messages;
}

function framedLength(messages: readonly Uint8Array[]): number {
  return messages.reduce((sum, { length }) => sum + 5 + length, 0);
}

Deno.test("MessageReader reads the same whole, cut at every byte, and byte by byte", () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 4 }), (messages) => {
    const bytes = framed(messages);
    assert.deepEqual(read(bytes, []), messages);
    for (let cut = 1; cut < bytes.length; cut++) assert.deepEqual(read(bytes, [cut]), messages);
    assert.deepEqual(read(bytes, Array.from({ length: bytes.length }, (_, index) => index)), messages);
  }));
});

Deno.test("MessageReader refuses a length above its limit before it makes room for it", () => {
  const reader = new MessageReader(1_000, new ByteBudget(10_000));
  reader.push(new Uint8Array([0, 0xff, 0xff, 0xff, 0xff]));
  assert.throws(() => reader.next(), (error) => {
    assert.ok(error instanceof StatusError);
    assert.equal(error.code, Status.RESOURCE_EXHAUSTED);
    assert.match(error.message, /4294967295 bytes, limit is 1000/);
    return true;
  });
});

Deno.test("MessageReader refuses a compressed flag without an encoding, and unknown flags, with INTERNAL", () => {
  for (const flag of [1, 2, 255]) {
    const reader = new MessageReader(1_000, new ByteBudget(10_000));
    reader.push(new Uint8Array([flag, 0, 0, 0, 0]));
    assert.throws(
      () => reader.next(),
      (error) => error instanceof StatusError && error.code === Status.INTERNAL,
    );
  }
});

Deno.test("messagePrefix keeps its bytes while others are made", () => {
  const prefixes = Array.from({ length: 2_000 }, (_, length) => messagePrefix(length * 70_000));
  prefixes.forEach((prefix, index) => {
    const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.length);
    assert.deepEqual([prefix.length, prefix[0], view.getUint32(1)], [5, 0, index * 70_000]);
  });
});

Deno.test("MessageReader takes from the budget for a message that is cut, and gives it back", () => {
  const whole = new ByteBudget(100);
  const budget = new ByteBudget(80, whole);
  const first = new MessageReader(1_000, budget);
  const prefix = new Uint8Array([0, 0, 0, 0, 60]);
  first.push(prefix);
  assert.equal(first.next(), undefined);
  const second = new MessageReader(1_000, budget);
  second.push(prefix);
  assert.throws(
    () => second.next(),
    (error) => error instanceof StatusError && error.code === Status.RESOURCE_EXHAUSTED,
  );
  const elsewhere = new MessageReader(1_000, new ByteBudget(80, whole));
  elsewhere.push(prefix);
  assert.throws(
    () => elsewhere.next(),
    (error) => error instanceof StatusError && error.code === Status.RESOURCE_EXHAUSTED,
  );
  first.push(new Uint8Array(60));
  assert.equal(first.next()?.length, 60);
  const third = new MessageReader(1_000, budget);
  third.push(prefix);
  assert.equal(third.next(), undefined);
  third.abandon();
  assert.equal(whole.take(100), true);
});
