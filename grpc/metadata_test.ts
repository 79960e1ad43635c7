import assert from "node:assert/strict";
import { Metadata } from "./metadata.ts";

Deno.test("Metadata.append drops spaces around a text, which can't travel (RFC 9113 §8.2.1)", () => {
  const metadata = new Metadata({ "x": "  a b ", "y": "   " });
  assert.equal(metadata.get("x"), "a b");
  assert.deepEqual(metadata.toFields(), [{ name: "x", value: "a b" }, { name: "y", value: "" }]);
});

Deno.test("Metadata.append refuses what is neither printable ASCII nor bytes for -bin (gRPC over HTTP/2, Custom-Metadata)", () => {
  const metadata = new Metadata();
  for (const value of ["\n", "\u00fc", "\x7f", Uint8Array.of(1)]) {
    assert.throws(() => metadata.append("x", value), TypeError);
  }
  assert.throws(() => metadata.append("x-bin", "text"), TypeError);
  for (const name of ["", "a b", ":path", "grpc-status", "te", "content-type", "\u00fc"]) {
    assert.throws(() => metadata.append(name, "x"), TypeError, name);
  }
});

Deno.test("Metadata.fromFields leaves out values that can't be decoded, and tells of which names they are", () => {
  const metadata = Metadata.fromFields([
    { name: "x", value: "\u00fc" },
    { name: "y-bin", value: "!" },
    { name: "z", value: "a" },
  ]);
  assert.deepEqual([...metadata.entries()], [["z", "a"]]);
  assert.deepEqual(["X", "y-bin", "z"].map((name) => metadata.isUnreadable(name)), [true, true, false]);
});
