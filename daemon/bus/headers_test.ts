import assert from "node:assert/strict";
import { BusError } from "./error.ts";
import { canonicalHeaders, decodeHeaders, encodeHeaders } from "./headers.ts";

Deno.test("encodeHeaders writes the map entries of field 6", () => {
  assert.deepEqual([...encodeHeaders({ a: "bc" })], [0x32, 7, 0x0a, 1, 0x61, 0x12, 2, 0x62, 0x63]);
  assert.deepEqual([...encodeHeaders({})], []);
});

Deno.test("decodeHeaders gives back what encodeHeaders was given", () => {
  const long = "x".repeat(20_000);
  for (
    const headers of [{}, { a: "1", "": "", "ключ": "\u{1f680}" }, { [long]: long, "b\ufeff": "\ufeff" }]
  ) {
    assert.deepEqual({ ...decodeHeaders(encodeHeaders(headers)) }, headers);
  }
  const proto = decodeHeaders(encodeHeaders(JSON.parse(`{"__proto__": "x"}`)));
  assert.deepEqual(Object.entries(proto), [["__proto__", "x"]]);
});

Deno.test("decodeHeaders takes absent parts as empty and the last of doubles", () => {
  const bytes = [0x32, 0, 0x32, 3, 0x0a, 1, 0x61, 0x32, 6, 0x12, 1, 0x62, 0x0a, 1, 0x61];
  assert.deepEqual({ ...decodeHeaders(Uint8Array.from(bytes)) }, { "": "", a: "b" });
});

Deno.test("decodeHeaders refuses bytes that are cut or not headers", () => {
  const whole = encodeHeaders({ key: "value" });
  for (let end = 1; end < whole.length; end++) {
    assert.throws(() => decodeHeaders(whole.subarray(0, end)), BusError, `cut at ${end}`);
  }
  const bad = [[0x2a, 0], [0x32, 2, 0x1a, 0], [0x32, 3, 0x0a, 5, 0x61], [0x32, 3, 0x0a, 1, 0xff], [
    0x32,
    0xff,
    0xff,
    0xff,
    0xff,
    0xff,
  ]];
  for (const bytes of bad) assert.throws(() => decodeHeaders(Uint8Array.from(bytes)), BusError, `${bytes}`);
});

Deno.test("canonicalHeaders sorts entries, and behind them the fields of later versions by their numbers", () => {
  const [a, b] = [encodeHeaders({ a: "1" }), encodeHeaders({ b: "2" })];
  const [nine, other, far] = [[0x4a, 1, 7], [0x48, 5], [0x82, 1, 1, 9]];
  const bytes = Uint8Array.from([...b, ...a, ...far, ...nine, ...other]);
  assert.deepEqual([...canonicalHeaders(bytes)], [...a, ...b, ...nine, ...other, ...far]);
  assert.deepEqual({ ...decodeHeaders(bytes) }, { a: "1", b: "2" });
  const bad = [[0x4a, 5, 1], [0x48], [0x49, 1, 2], [0x4b, 0x4c], [...nine, ...a], [0xb2, 0, 0], [0x80]];
  for (const later of bad) {
    assert.throws(() => canonicalHeaders(Uint8Array.from([...a, ...later])), BusError, `${later}`);
  }
});
