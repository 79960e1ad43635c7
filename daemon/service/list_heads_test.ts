import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { ListHeadsResponseSchema } from "@msgbus/proto";
import type { LogHead } from "../store/store.ts";
import { HEADS_PER_TURN } from "./limits.ts";
import { HeadsEncoder } from "./list_heads.ts";

const origin = { tenantId: "tenant", blName: "line", deviceId: "local" };

const heads = Array.from({ length: 2 * HEADS_PER_TURN + 1 }, (_, at): LogHead => ({
  topic: `t${at}`,
  origin,
  headId: at + 1,
  sequence: at + 1,
  incarnation: "x",
}));
const never = new AbortController().signal;

Deno.test("HeadsEncoder lets others have their turn after every thousand logs", async () => {
  let turns = 0;
  const nextTurn = () => {
    turns++;
    return Promise.resolve();
  };
  const encoder = new HeadsEncoder(nextTurn);
  const answer = fromBinary(ListHeadsResponseSchema, await encoder.encode(() => heads, never));
  assert.equal(turns, 4);
  assert.deepEqual(
    answer.heads.map(({ topic, headId }) => [topic, Number(headId)]),
    heads.map(({ topic, headId }) => [topic, headId]),
  );
  assert.equal((await encoder.encode(() => [], never)).length, 0);
});

Deno.test("HeadsEncoder encodes one list at a time, the next one also where one failed, and none for who is gone", async () => {
  const turns: (() => void)[] = [];
  const encoder = new HeadsEncoder(() => new Promise((resolve) => turns.push(resolve)));
  const begun: string[] = [];
  const list = (name: string, signal = never) =>
    encoder.encode(() => {
      begun.push(name);
      if (name === "failing") throw new TypeError(name);
      return name === "last" ? [] : heads;
    }, signal);
  const leaving = new AbortController();
  const gone = new AbortController();
  const left = assert.rejects(list("leaving", leaving.signal), /it left/);
  const failed = assert.rejects(list("failing"), TypeError);
  const refused = assert.rejects(list("gone", gone.signal), /it is gone/);
  const last = list("last");
  gone.abort(new Error("it is gone"));
  for (let at = 0; at < 20; at++) await Promise.resolve();
  assert.deepEqual([begun, turns.length], [["leaving"], 1]);
  leaving.abort(new Error("it left"));
  turns[0]?.();
  assert.equal((await last).length, 0);
  await Promise.all([left, failed, refused]);
  assert.deepEqual(begun, ["leaving", "failing", "last"]);
  assert.equal(turns.length, 1);
});
