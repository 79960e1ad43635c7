import assert from "node:assert/strict";
import { STATIC_TABLE, STATIC_TABLE_LENGTH, staticIndexOfField, staticIndexOfName } from "./static_table.ts";

Deno.test("STATIC_TABLE has the 61 entries of RFC 7541 Appendix A at their indices", () => {
  assert.equal(STATIC_TABLE_LENGTH, 61);
  assert.equal(STATIC_TABLE[0], undefined);
  assert.deepEqual(STATIC_TABLE[1], { name: ":authority", value: "" });
  assert.deepEqual(STATIC_TABLE[2], { name: ":method", value: "GET" });
  assert.deepEqual(STATIC_TABLE[8], { name: ":status", value: "200" });
  assert.deepEqual(STATIC_TABLE[14], { name: ":status", value: "500" });
  assert.deepEqual(STATIC_TABLE[16], { name: "accept-encoding", value: "gzip, deflate" });
  assert.deepEqual(STATIC_TABLE[18], { name: "accept-ranges", value: "" });
  assert.deepEqual(STATIC_TABLE[19], { name: "accept", value: "" });
  assert.deepEqual(STATIC_TABLE[31], { name: "content-type", value: "" });
  assert.deepEqual(STATIC_TABLE[46], { name: "location", value: "" });
  assert.deepEqual(STATIC_TABLE[58], { name: "user-agent", value: "" });
  assert.deepEqual(STATIC_TABLE[61], { name: "www-authenticate", value: "" });
  assert.equal(STATIC_TABLE[62], undefined);
});

Deno.test("STATIC_TABLE orders the names from index 19 on by the alphabet, as RFC 7541 Appendix A does", () => {
  const names = STATIC_TABLE.slice(19).map((field) => field?.name ?? "");
  assert.deepEqual(names, names.toSorted());
  assert.equal(new Set(names).size, 43);
});

Deno.test("staticIndexOfField finds every entry and nothing else", () => {
  STATIC_TABLE.forEach((field, index) => {
    if (field !== undefined) assert.equal(staticIndexOfField(field.name, field.value), index);
  });
  assert.equal(staticIndexOfField(":status", "201"), 0);
  assert.equal(staticIndexOfField("grpc-status", "0"), 0);
});

Deno.test("staticIndexOfName finds the first entry of a name", () => {
  assert.equal(staticIndexOfName(":method"), 2);
  assert.equal(staticIndexOfName(":status"), 8);
  assert.equal(staticIndexOfName("content-type"), 31);
  assert.equal(staticIndexOfName("grpc-status"), 0);
});
