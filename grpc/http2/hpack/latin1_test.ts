import assert from "node:assert/strict";
import { latin1FromBytes } from "./latin1.ts";

Deno.test("latin1FromBytes maps each octet to the same code, at every length and offset", () => {
  const bytes = Uint8Array.from({ length: 256 }, (_, octet) => octet);
  for (let start = 0; start <= 256; start += 13) {
    for (let end = start; end <= 256; end += 1) {
      const codes = Array.from(latin1FromBytes(bytes, start, end), (char) => char.charCodeAt(0));
      assert.deepEqual(codes, Array.from(bytes.subarray(start, end)));
    }
  }
});
