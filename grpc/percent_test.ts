import assert from "node:assert/strict";
import fc from "fast-check";
import { percentDecode, percentEncode } from "./percent.ts";

Deno.test("percentEncode leaves printable ASCII but % as it is (gRPC over HTTP/2, Status-Message)", () => {
  assert.equal(percentEncode("a status: ~!@#$^&*()"), "a status: ~!@#$^&*()");
  assert.equal(percentEncode("100 %"), "100 %25");
  assert.equal(percentEncode("\u00fc\n\u{1f68c}"), "%C3%BC%0A%F0%9F%9A%8C");
});

Deno.test("percentEncode escapes a space at either end, where a field may have none (RFC 9113 §8.2.1)", () => {
  assert.equal(percentEncode(" a b "), "%20a b%20");
  assert.equal(percentEncode(" "), "%20");
  assert.equal(percentEncode(""), "");
});

Deno.test("percentDecode keeps broken escapes (gRPC over HTTP/2, Status-Message)", () => {
  assert.equal(percentDecode("%zz %4 %"), "%zz %4 %");
  assert.equal(percentDecode("%41%e2%98%83"), "A\u2603");
});

Deno.test("percentDecode reads what percentEncode wrote, and that may stand in a field", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const encoded = percentEncode(text);
      assert.match(encoded, /^(?! )[\x20-\x7e]*(?<! )$/);
      assert.equal(percentDecode(encoded), text);
    }),
    { seed: 9113 },
  );
});
