import assert from "node:assert/strict";
import {
  DamagedMessagesError,
  idLength,
  MessageReader,
  MessageWriter,
  putId,
  readId,
  requireHeaders,
} from "./message_codec.ts";

const NO_BYTES = new Uint8Array();
const TIME = 0x018f_0000_1234;
const UUID = "018f0000-1234-7abc-8def-0123456789fe";

interface Plain {
  readonly id: string;
  readonly createdAtMs: number;
  readonly payload: string;
  readonly headers: number[];
  readonly deleted: boolean;
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function plainOf(reader: MessageReader): Plain {
  return {
    id: reader.id,
    createdAtMs: reader.createdAtMs,
    payload: new TextDecoder().decode(reader.payload),
    headers: [...reader.headers],
    deleted: reader.deleted,
  };
}

function readMessages(bytes: Uint8Array): Plain[] {
  const reader = new MessageReader(bytes);
  const found: Plain[] = [];
  while (reader.next()) found.push(plainOf(reader));
  return found;
}

const HEADERS = [0x32, 4, 0x0a, 0, 0x12, 0, 0x32, 0];
/** Fields 9, 10, 15 and 127 of each kind. */
const LATER = [0x48, 0x80, 1, 0x51, 1, 2, 3, 4, 5, 6, 7, 8, 0x7a, 2, 8, 9, 0xfd, 7, 1, 2, 3, 4];
const MESSAGES: readonly Plain[] = [
  { id: UUID, createdAtMs: TIME, payload: "one", headers: HEADERS, deleted: false },
  { id: UUID.replace("fe", "ff"), createdAtMs: TIME, payload: "", headers: HEADERS, deleted: false },
  { id: UUID.replace("89fe", "8a00"), createdAtMs: 5, payload: "x".repeat(300), headers: [], deleted: false },
  { id: UUID.replace("89fe", "8a01"), createdAtMs: TIME, payload: "", headers: [], deleted: true },
  { id: "any ✓ text", createdAtMs: 0, payload: "four", headers: [], deleted: false },
  { id: "", createdAtMs: Number.MAX_SAFE_INTEGER, payload: "", headers: [], deleted: true },
  { id: UUID, createdAtMs: TIME, payload: "", headers: [], deleted: false },
  { id: UUID, createdAtMs: TIME, payload: "later", headers: [...HEADERS, ...LATER], deleted: false },
  { id: "i", createdAtMs: 1, payload: "", headers: LATER, deleted: false },
];

function write(messages: readonly Plain[]): Uint8Array {
  const writer = new MessageWriter();
  for (const { id, createdAtMs, payload, headers, deleted } of messages) {
    writer.add(id, createdAtMs, text(payload), Uint8Array.from(headers), deleted);
  }
  assert.equal(writer.count, messages.length);
  return writer.written.slice();
}

Deno.test("MessageReader gives back what MessageWriter wrote", () => {
  assert.deepEqual(readMessages(write(MESSAGES)), MESSAGES);
});

Deno.test("MessageWriter writes these bytes: they are in files and on the wire", () => {
  const writer = new MessageWriter();
  writer.add(UUID, TIME, text("a"), Uint8Array.of(0x32, 0));
  writer.addNext(text("b"), NO_BYTES);
  writer.add("i", 300, NO_BYTES, NO_BYTES, true);
  assert.deepEqual([...writer.written], [
    ...[0x12, 23, 0x0a, 16, 0x01, 0x8f, 0, 0, 0x12, 0x34, 0x7a, 0xbc, 0x8d, 0xef],
    ...[0x01, 0x23, 0x45, 0x67, 0x89, 0xfe, 0x2a, 1, 0x61, 0x32, 0],
    ...[0x12, 3, 0x2a, 1, 0x62],
    ...[0x12, 8, 0x12, 1, 0x69, 0x38, 0xac, 0x02, 0x40, 1],
  ]);
});

Deno.test("MessageWriter.addNext counts on over a reset, and not behind an id that is no UUID", () => {
  const writer = new MessageWriter();
  assert.equal(writer.addNext(NO_BYTES, NO_BYTES), false);
  writer.add("018f0000-1234-7abc-8fff-fffffffffffe", 77, NO_BYTES, NO_BYTES);
  writer.addNext(NO_BYTES, NO_BYTES);
  writer.addNext(NO_BYTES, NO_BYTES);
  const ids = ["018f0000-1234-7abc-8fff-fffffffffffe", "018f0000-1234-7abc-8fff-ffffffffffff"];
  ids.push("018f0000-1234-7abc-9000-000000000000");
  assert.deepEqual(readMessages(writer.written).map(({ id, createdAtMs }) => [id, createdAtMs]), [
    ...ids.map((id) => [id, 77]),
  ]);
  writer.reset();
  assert.equal(writer.addNext(text("x"), NO_BYTES), true);
  const [first] = readMessages(writer.written);
  assert.deepEqual([first?.id, first?.createdAtMs], ["018f0000-1234-7abc-9000-000000000001", 77]);
  writer.add("text", 1, NO_BYTES, NO_BYTES);
  assert.equal(writer.addNext(NO_BYTES, NO_BYTES), false);
});

Deno.test("MessageReader has the time of an id into which counting on has carried", () => {
  const writer = new MessageWriter();
  writer.add("018f0000-1234-7fff-bfff-ffffffffffff", TIME, NO_BYTES, NO_BYTES);
  writer.add("018f0000-1234-7fff-c000-000000000000", TIME, NO_BYTES, NO_BYTES);
  writer.add("ffffffff-ffff-ffff-ffff-ffffffffffff", 1, NO_BYTES, NO_BYTES);
  writer.add("00000000-0000-0000-0000-000000000000", 2, NO_BYTES, NO_BYTES);
  assert.deepEqual(readMessages(writer.written).map(({ id, createdAtMs }) => [id, createdAtMs]), [
    ["018f0000-1234-7fff-bfff-ffffffffffff", TIME],
    ["018f0000-1234-7fff-c000-000000000000", TIME],
    ["ffffffff-ffff-ffff-ffff-ffffffffffff", 1],
    ["00000000-0000-0000-0000-000000000000", 2],
  ]);
});

Deno.test("readId makes the id later, and putId writes the same", () => {
  const carried = ["018f0000-1234-7fff-bfff-ffffffffffff", "018f0000-1234-7fff-c000-000000000000"];
  const messages = [
    ...MESSAGES,
    ...MESSAGES.slice(0, 2).map((one, at) => ({ ...one, id: carried[at] ?? "" })),
  ];
  const bytes = write(messages);
  const reader = new MessageReader(bytes);
  const ids: (() => readonly string[])[] = [];
  while (reader.next()) {
    const [at, count] = [reader.idAt, reader.idCount];
    ids.push(() => {
      const into = new Uint8Array(idLength(count) + 2);
      putId(bytes, at, count, into, 1);
      assert.deepEqual([into[0], into.at(-1)], [0, 0]);
      return [readId(bytes, at, count), new TextDecoder().decode(into.subarray(1, -1))];
    });
  }
  assert.deepEqual(ids.map((id) => id()), messages.map(({ id }) => [id, id]));
});

Deno.test("MessageWriter.copy keeps each message, from any one on, or deletes it", () => {
  const bytes = write(MESSAGES);
  for (let from = 0; from < MESSAGES.length; from++) {
    const [writer, reader] = [new MessageWriter(), new MessageReader(bytes)];
    for (let at = 0; reader.next(); at++) if (at >= from) writer.copy(reader, at % 2 === 1);
    const expected = MESSAGES.map((message, at) =>
      at % 2 === 1 ? { ...message, payload: "", headers: [], deleted: true } : message
    );
    assert.deepEqual(readMessages(writer.written), expected.slice(from));
  }
});

Deno.test("MessageReader says damaged for bytes that are cut or changed anywhere, and never hangs", () => {
  const bytes = write(MESSAGES);
  const ends = new Set<number>([0]);
  const reader = new MessageReader(bytes);
  while (reader.next()) ends.add(reader.end);
  for (let end = 0; end < bytes.length; end++) {
    const cut = bytes.subarray(0, end);
    if (ends.has(end)) readMessages(cut);
    else assert.throws(() => readMessages(cut), DamagedMessagesError, `cut at ${end}`);
  }
  for (let at = 0; at < bytes.length; at++) {
    for (const value of [0, 0x12, 0x7f, 0x80, 0xff]) {
      const changed = bytes.slice();
      changed[at] = value;
      try {
        readMessages(changed);
      } catch (error) {
        assert.ok(error instanceof DamagedMessagesError, `${error}`);
      }
    }
  }
  for (const wrong of [[0x12, 0], [0x12, 2, 0x40, 1], [0x12, 3, 0x0a, 1, 0], [0x12, 3, 0x12, 1, 0x61]]) {
    assert.throws(() => readMessages(Uint8Array.from(wrong)), /damaged/);
  }
  const closed = [...write(MESSAGES.slice(4, 5)), 0];
  closed[1] = (closed[1] ?? 0) + 1;
  assert.throws(() => readMessages(Uint8Array.from(closed)), DamagedMessagesError);
});

Deno.test("requireHeaders refuses headers that are not encoded", () => {
  for (const wrong of [[1], [0x32], [0x32, 1], [0x32, 0, 0x32], [0x32, 0x80], [0x2a, 0]]) {
    assert.throws(() => requireHeaders(Uint8Array.from(wrong)), TypeError);
  }
  for (const right of [[], HEADERS, [0x32, 0x81, 0x00, 7]]) requireHeaders(Uint8Array.from(right));
});
