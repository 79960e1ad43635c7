import assert from "node:assert/strict";
import { FieldIndex } from "./field_index.ts";

Deno.test("FieldIndex.ofField finds the entry of a name and value, ofName the newest of the name", () => {
  const index = new FieldIndex();
  index.add({ name: "a", value: "1" }, 0);
  index.add({ name: "a", value: "2" }, 1);
  assert.equal(index.ofField("a", "1"), 0);
  assert.equal(index.ofField("a", "2"), 1);
  assert.equal(index.ofField("a", "3"), undefined);
  assert.equal(index.ofName("a"), 1);
  assert.equal(index.ofName("b"), undefined);
});

Deno.test("FieldIndex.remove forgets the entry and keeps newer ones of the name", () => {
  const index = new FieldIndex();
  index.add({ name: "a", value: "1" }, 0);
  index.add({ name: "a", value: "2" }, 1);
  index.remove({ name: "a", value: "1" }, 0);
  assert.equal(index.ofField("a", "1"), undefined);
  assert.equal(index.ofName("a"), 1);
  index.remove({ name: "a", value: "2" }, 1);
  assert.equal(index.ofName("a"), undefined);
});

Deno.test("FieldIndex.remove keeps a value that was added again later", () => {
  const index = new FieldIndex();
  index.add({ name: "a", value: "1" }, 0);
  index.add({ name: "a", value: "1" }, 1);
  index.remove({ name: "a", value: "1" }, 0);
  assert.equal(index.ofField("a", "1"), 1);
});
