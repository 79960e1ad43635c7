import assert from "node:assert/strict";
import type { LogName } from "../store.ts";
import { KNOWN_LISTS } from "./limits.ts";
import { SentLists } from "./sent_lists.ts";

Deno.test("SentLists sends each list once, until as many others as are remembered took its place", () => {
  const sent = new SentLists();
  const lists = Array.from({ length: KNOWN_LISTS + 1 }, (): LogName[] => []);
  for (const [at, list] of lists.slice(0, KNOWN_LISTS).entries()) {
    assert.deepEqual(sent.place(list), { at, isNew: true });
    assert.deepEqual(sent.place(list), { at, isNew: false });
  }
  const [first = [], second = []] = lists;
  assert.deepEqual(sent.place(lists.at(-1) ?? []), { at: 0, isNew: true });
  assert.deepEqual(sent.place(second), { at: 1, isNew: false });
  assert.deepEqual(sent.place(first), { at: 1, isNew: true });
});
