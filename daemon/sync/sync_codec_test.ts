import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { SyncBatchSchema, SyncMessageSchema, SyncResponseSchema } from "@msgbus/proto/sync";
import { encodeHeaders } from "../bus/headers.ts";
import { Message } from "../bus/message.ts";
import type { ReplicatedMessage } from "../store/store.ts";
import { PeerError } from "./peer_link.ts";
import { decodeResponse, encodeBatch } from "./sync_codec.ts";
import { nodeName } from "./test_node.ts";

const NO_BYTES = new Uint8Array();

function message(
  headId: number,
  payload: Uint8Array,
  headers: Record<string, string>,
  deleted = false,
): Message {
  const id = `0190b6d8-0000-7000-8000-${String(headId).padStart(12, "0")}`;
  const time = headId % 2 === 0 ? 2 ** 45 + headId : 1_700_000_000_000;
  return new Message("t", nodeName("a"), headId, headId, id, time, payload, encodeHeaders(headers), deleted);
}

const MESSAGES = [
  message(2 ** 40, Uint8Array.of(0, 1, 255), { a: "b", "ключ": "значение" }),
  message(2 ** 40 + 1, NO_BYTES, {}),
  message(2 ** 40 + 2, NO_BYTES, {}, true),
  message(2 ** 40 + 3, new Uint8Array(70_000).fill(7), { long: "x".repeat(300) }),
];

const plain = ({ headId, id, createdAtMs, payload, headers, deleted }: ReplicatedMessage) => ({
  headId,
  id,
  createdAtMs,
  payload: [...payload],
  headers: [...headers],
  deleted,
});

Deno.test("decodeResponse keeps the fields of messages that it does not know, but for those of numbers it knows", () => {
  const message = create(SyncMessageSchema, { id: "i", payload: Uint8Array.of(1), headers: { a: "b" } });
  message.$unknown = [
    { no: 2, wireType: 2, data: Uint8Array.of(1, 65) },
    { no: 9, wireType: 2, data: Uint8Array.of(2, 1, 2) },
    { no: 300, wireType: 5, data: Uint8Array.of(1, 2, 3, 4) },
  ];
  const batch = create(SyncBatchSchema, { firstHeadId: 1n, messages: [message] });
  const bytes = toBinary(SyncResponseSchema, create(SyncResponseSchema, { batch }));
  const [read] = decodeResponse(bytes).batch?.messages ?? [];
  const later = [0x4a, 2, 1, 2, 0xe5, 0x12, 1, 2, 3, 4];
  assert.deepEqual([...read?.headers ?? []], [...encodeHeaders({ a: "b" }), ...later]);
});

Deno.test("encodeBatch writes what the generated code reads", () => {
  const { batch } = fromBinary(SyncResponseSchema, encodeBatch(300, MESSAGES));
  assert.equal(batch?.log, 300n);
  assert.equal(batch?.firstHeadId, 2n ** 40n);
  assert.deepEqual(
    batch?.messages.map(({ id, payload, headers, createdAtMs, deleted }) => [
      id,
      [...payload],
      headers,
      createdAtMs,
      deleted,
    ]),
    MESSAGES.map(({ id, payload, createdAtMs, deleted }, at) => [
      id,
      [...payload],
      [{ a: "b", "ключ": "значение" }, {}, {}, { long: "x".repeat(300) }][at],
      BigInt(createdAtMs),
      deleted,
    ]),
  );
});

Deno.test("decodeResponse reads what encodeBatch and the generated code write", () => {
  const read = decodeResponse(encodeBatch(300, MESSAGES)).batch;
  assert.equal(read?.log, 300);
  assert.deepEqual(read?.messages.map(plain), MESSAGES.map(plain));
  const generated = decodeResponse(toBinary(
    SyncResponseSchema,
    create(SyncResponseSchema, {
      heads: [{ log: 1n, headId: 9n }],
      batch: create(SyncBatchSchema, {
        log: 1n,
        firstHeadId: 5n,
        messages: [{
          id: "i",
          payload: Uint8Array.of(1),
          headers: { a: "b" },
          createdAtMs: 3n,
          deleted: false,
        }],
      }),
    }),
  ));
  assert.equal(generated.news?.heads[0]?.headId, 9n);
  assert.deepEqual(generated.batch?.messages.map(plain), [
    {
      headId: 5,
      id: "i",
      createdAtMs: 3,
      payload: [1],
      headers: [...encodeHeaders({ a: "b" })],
      deleted: false,
    },
  ]);
});

Deno.test("decodeResponse gathers headers that stand between other fields, and passes over fields it does not know beside the message", () => {
  const [first, second] = [encodeHeaders({ a: "1" }), encodeHeaders({ b: "2" })];
  const unknown = [0x78, 0x05]; // field 15, a varint
  const fields = [0x0a, 1, 0x69, ...first, 0x2a, 1, 0x07, ...second, ...unknown, 0x38, 0x03];
  const batch = [...unknown, 0x08, 0, 0x10, 1, 0x1a, fields.length, ...fields, ...unknown];
  const response = [0x22, batch.length, ...batch];
  for (const bytes of [response, [...response, ...unknown], [...unknown, ...response]]) {
    const read = decodeResponse(Uint8Array.from(bytes)).batch;
    assert.deepEqual(read?.messages.map(plain), [
      {
        headId: 1,
        id: "i",
        createdAtMs: 3,
        payload: [7],
        headers: [...first, ...second, ...unknown],
        deleted: false,
      },
    ]);
    assert.equal(read?.log, 0);
  }
});

Deno.test("decodeResponse refuses what is cut or none", () => {
  const whole = encodeBatch(300, MESSAGES.slice(0, 3));
  for (let cut = 1; cut < whole.length; cut++) {
    assert.throws(() => decodeResponse(whole.subarray(0, cut)), PeerError, `cut at ${cut}`);
  }
  assert.throws(() => decodeResponse(Uint8Array.of(...whole, 1)), PeerError);
  assert.throws(() => decodeResponse(Uint8Array.of(0x22, 0xff, 0xff, 0xff)), PeerError);
});

Deno.test("decodeResponse refuses more than a peer may say at once, before it is gathered", () => {
  const empty = (tag: number, count: number) =>
    new Uint8Array(2 * count).map((_, at) => at % 2 === 0 ? tag : 0);
  const inside = (tag: number, bytes: Uint8Array) => {
    const length = bytes.length;
    return Uint8Array.of(tag, length & 0x7f | 0x80, length >>> 7 & 0x7f | 0x80, length >>> 14, ...bytes);
  };
  assert.throws(() => decodeResponse(inside(0x22, empty(0x1a, 10_001))), /more than 10000 messages/);
  assert.throws(() => decodeResponse(empty(0x1a, 10_001)), /more than 10000 parts/, "heads");
  const heads = Uint8Array.of(0x1a, 0, ...inside(0x22, empty(0x1a, 10_003)));
  assert.throws(() => decodeResponse(heads), /more than 10002 parts/, "a batch behind heads");
  assert.equal(decodeResponse(empty(0x1a, 10_000)).news?.heads.length, 10_000);
});

Deno.test("decodeResponse refuses a batch that is filled up: its messages would keep all of it in memory", () => {
  const filled = (bytes: number) => {
    const unknown = [0x12, bytes & 0x7f | 0x80, bytes >>> 7, ...new Uint8Array(bytes)]; // the topic of an envelope
    const fields = [0x0a, 1, 0x69, ...unknown];
    const batch = [0x10, 1, 0x1a, fields.length & 0x7f | 0x80, fields.length >>> 7, ...fields];
    return Uint8Array.of(0x22, batch.length & 0x7f | 0x80, batch.length >>> 7, ...batch);
  };
  assert.equal(decodeResponse(filled(900)).batch?.messages.length, 1);
  assert.throws(() => decodeResponse(filled(2_100)), /filled with what is no message/);
});
