import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { ListHeadsResponseSchema } from "@msgbus/proto";
import { readHeads } from "./head_list.ts";
import { HEADS_PER_TURN } from "./limits.ts";
import { nodeName } from "./test_node.ts";

const noTurn = () => Promise.resolve();

Deno.test("readHeads reads what the generated code writes, and lets others have their turn", async () => {
  const count = 2 * HEADS_PER_TURN + 1;
  const heads = Array.from({ length: count }, (_, at) => ({
    topic: `t${at}`,
    origin: nodeName(`d${at % 3}`),
    headId: 2 ** 40 + at,
    incarnation: at % 2 === 0 ? "" : "i",
  }));
  const answer = create(ListHeadsResponseSchema, {
    heads: heads.map((head) => ({ ...head, headId: BigInt(head.headId) })),
  });
  answer.$unknown = [{ no: 9, wireType: 0, data: Uint8Array.of(1) }];
  let turns = 0;
  const read = await readHeads(toBinary(ListHeadsResponseSchema, answer), () => {
    turns++;
    return Promise.resolve();
  });
  assert.deepEqual(read, heads);
  assert.equal(turns, 2);
});

Deno.test("readHeads takes the names from a log whose names can't be read, and rejects what is none", async () => {
  const good = [0x0a, 1, 0x74];
  const bad = [0x0a, 2, 0xff, 0xfe];
  const answer = [good, bad].flatMap((topic) => [0x0a, topic.length + 2, ...topic, 0x18, 7]);
  const heads = await readHeads(Uint8Array.from(answer), noTurn);
  assert.deepEqual(heads.map(({ topic, headId }) => [topic, headId]), [["t", 7], ["", 7]]);
  for (const cut of [[0x0a, 5, 0x0a], [0x0a, 2, 0x0a, 9], [0x0a]]) {
    await assert.rejects(readHeads(Uint8Array.from(cut), noTurn), `${cut}`);
  }
});
