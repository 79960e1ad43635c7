import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { ListHeadsResponseSchema } from "@msgbus/proto";
import type { LogHead } from "../store/store.ts";
import { HEADS_PER_TURN } from "./limits.ts";
import { encodeHeads } from "./list_heads.ts";

const origin = { tenantId: "tenant", blName: "line", deviceId: "local" };

Deno.test("encodeHeads lets others have their turn after every thousand logs", async () => {
  const heads = Array.from({ length: 2 * HEADS_PER_TURN + 1 }, (_, at): LogHead => ({
    topic: `t${at}`,
    origin,
    headId: at + 1,
    sequence: at + 1,
    incarnation: "x",
  }));
  let turns = 0;
  const nextTurn = () => {
    turns++;
    return Promise.resolve();
  };
  const answer = fromBinary(ListHeadsResponseSchema, await encodeHeads(heads, nextTurn));
  assert.equal(turns, 4);
  assert.deepEqual(
    answer.heads.map(({ topic, headId }) => [topic, Number(headId)]),
    heads.map(({ topic, headId }) => [topic, headId]),
  );
  assert.equal((await encodeHeads([], nextTurn)).length, 0);
});
