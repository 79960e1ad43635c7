import assert from "node:assert/strict";
import fc from "fast-check";
import { DynamicTable } from "./dynamic_table.ts";
import { fieldBytes, type HeaderField } from "./header_field.ts";

function contents(table: DynamicTable): (HeaderField | undefined)[] {
  return Array.from({ length: table.length }, (_, position) => table.get(position));
}

/** A field that takes `bytes` octets in the table. */
function fieldOf(name: string, bytes: number): HeaderField {
  return { name, value: "v".repeat(bytes - 32 - name.length) };
}

Deno.test("DynamicTable counts name + value + 32 for each entry (RFC 7541 §4.1)", () => {
  const table = new DynamicTable(4096);
  table.insert({ name: "custom-key", value: "custom-header" });
  assert.equal(table.bytes, 55);
  table.insert({ name: "", value: "" });
  assert.equal(table.bytes, 87);
});

Deno.test("DynamicTable.get counts from the newest and gives undefined past the oldest", () => {
  const table = new DynamicTable(4096);
  const [first, second] = [fieldOf("a", 40), fieldOf("b", 40)];
  table.insert(first);
  table.insert(second);
  assert.equal(table.get(0), second);
  assert.equal(table.get(1), first);
  assert.equal(table.get(2), undefined);
  assert.equal(table.get(-1), undefined);
});

Deno.test("DynamicTable.get does not wrap around, whatever the number of entries", () => {
  const table = new DynamicTable(4096);
  for (let count = 1; count <= 64; count += 1) {
    table.insert(fieldOf("a", 40));
    assert.equal(table.get(count), undefined);
    assert.equal(table.get(-1), undefined);
  }
});

Deno.test("DynamicTable keeps the order when it grows after evictions", () => {
  const table = new DynamicTable(400);
  for (let count = 0; count < 25; count += 1) table.insert({ name: "", value: String(count).padStart(8) });
  table.resize(4000);
  for (let count = 25; count < 75; count += 1) table.insert({ name: "", value: String(count).padStart(8) });
  const values = contents(table).map((field) => Number(field?.value));
  assert.deepEqual(values, Array.from({ length: 60 }, (_, position) => 74 - position));
});

Deno.test("DynamicTable.insert evicts the oldest until the entry fits exactly (RFC 7541 §4.4)", () => {
  const table = new DynamicTable(120);
  for (const name of ["a", "b", "c"]) table.insert(fieldOf(name, 40));
  assert.equal(table.length, 3);
  table.insert(fieldOf("d", 41));
  assert.deepEqual(contents(table).map((field) => field?.name), ["d", "c"]);
  assert.equal(table.bytes, 81);
});

Deno.test("DynamicTable.insert of an entry above the limit empties the table (RFC 7541 §4.4)", () => {
  const table = new DynamicTable(100);
  table.insert(fieldOf("a", 40));
  assert.equal(table.insert(fieldOf("b", 101)), false);
  assert.equal(table.length, 0);
  assert.equal(table.bytes, 0);
  assert.equal(table.insert(fieldOf("c", 100)), true);
});

Deno.test("DynamicTable.resize evicts the oldest until the limit holds (RFC 7541 §4.3)", () => {
  const table = new DynamicTable(200);
  for (const name of ["a", "b", "c"]) table.insert(fieldOf(name, 40));
  table.resize(80);
  assert.deepEqual(contents(table).map((field) => field?.name), ["c", "b"]);
  table.resize(0);
  assert.equal(table.length, 0);
});

Deno.test("DynamicTable tells of each eviction with the sequence number of its insertion", () => {
  const evicted: [string, number][] = [];
  const table = new DynamicTable(80, (field, sequence) => evicted.push([field.name, sequence]));
  for (const name of ["a", "b", "c"]) table.insert(fieldOf(name, 40));
  table.resize(40);
  assert.deepEqual(evicted, [["a", 0], ["b", 1]]);
  assert.equal(table.inserted, 3);
});

Deno.test("DynamicTable agrees with a plain list for any insertions and resizes", () => {
  const step = fc.oneof(
    { weight: 8, arbitrary: fc.record({ insert: fc.integer({ min: 0, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ resize: fc.integer({ min: 0, max: 4000 }) }) },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
    const table = new DynamicTable(2000);
    let model: HeaderField[] = [];
    let limit = 2000;
    const sum = () => model.reduce((total, field) => total + fieldBytes(field), 0);
    for (const action of steps) {
      if ("resize" in action) {
        limit = action.resize;
        table.resize(limit);
      } else {
        const field = { name: "n", value: "v".repeat(action.insert) };
        model = [field, ...model];
        table.insert(field);
      }
      while (sum() > limit) model.pop();
      assert.deepEqual(contents(table), model);
      assert.equal(table.bytes, sum());
    }
  }));
});
