import assert from "node:assert/strict";
import { TurnLine, type TurnTaker } from "./turn_line.ts";
import { TurnPool } from "./turn_pool.ts";

const WILLING: TurnTaker = { hasRoom: true };

Deno.test("TurnPool lets connections in by the order in which they asked in vain, whatever their own lines allow", () => {
  const pool = new TurnPool(2);
  const [first, second, third] = [new TurnLine(2, pool), new TurnLine(2, pool), new TurnLine(2, pool)];
  assert.ok(first.tryTake(WILLING) && first.tryTake(WILLING));
  const turns: string[] = [];
  for (const [name, line] of [["second", second], ["third", third], ["second", second]] as const) {
    assert.equal(line.tryTake(WILLING), false);
    line.join(WILLING, () => turns.push(name));
  }
  first.end();
  assert.deepEqual(turns, ["second"]);
  second.end();
  assert.deepEqual(turns, ["second", "third"]);
  first.end();
  assert.deepEqual(turns, ["second", "third", "second"]);
  third.end();
  second.end();
  assert.ok(first.tryTake(WILLING) && first.tryTake(WILLING), "all turns are given back");
});

Deno.test("TurnPool passes over a connection whose calls have left or have no room any more", () => {
  const pool = new TurnPool(1);
  const line = () => new TurnLine(1, pool);
  const [busy, left, full, last] = [line(), line(), line(), line()];
  const taker = { hasRoom: true };
  const turns: string[] = [];
  assert.ok(busy.tryTake(WILLING));
  for (const waiting of [left, full, last]) assert.equal(waiting.tryTake(WILLING), false);
  left.join(WILLING, () => turns.push("left"))();
  full.join(taker, () => turns.push("full"));
  last.join(WILLING, () => turns.push("last"));
  taker.hasRoom = false;
  busy.end();
  assert.deepEqual(turns, ["last"]);
});
