import assert from "node:assert/strict";
import fc from "fast-check";
import { HpackError } from "./error.ts";
import { decodeHuffman, encodeHuffman, huffmanLength } from "./huffman.ts";

function encode(text: string): Uint8Array {
  const out = new Uint8Array(huffmanLength(text));
  encodeHuffman(text, out, 0);
  return out;
}

function decode(...octets: number[]): string {
  return decodeHuffman(Uint8Array.from(octets), 0, octets.length);
}

const byteString = fc.uint8Array({ maxLength: 700 }).map((bytes) =>
  Array.from(bytes, (octet) => String.fromCharCode(octet)).join("")
);

Deno.test("encodeHuffman and decodeHuffman agree for each octet alone, doubled, and after each pending bit", () => {
  for (let octet = 0; octet < 256; octet += 1) {
    const char = String.fromCharCode(octet);
    // "0" takes 5 bits, so that one to eight of them make every number of bits left over.
    for (let before = 0; before <= 8; before += 1) {
      const text = "0".repeat(before) + char + char;
      const coded = encode(text);
      assert.equal(decodeHuffman(coded, 0, coded.length), text);
    }
  }
});

Deno.test("encodeHuffman and decodeHuffman agree for random octets, at any place in a buffer", () => {
  fc.assert(fc.property(byteString, fc.nat(9), (text, offset) => {
    const length = huffmanLength(text);
    const out = new Uint8Array(offset + length + 1).fill(0xaa);
    encodeHuffman(text, out, offset);
    assert.equal(decodeHuffman(out, offset, offset + length), text);
    assert.ok(out.subarray(0, offset).every((octet) => octet === 0xaa));
    assert.equal(out[offset + length], 0xaa);
  }));
});

Deno.test("huffmanLength counts whole octets (RFC 7541 C.4.1)", () => {
  assert.equal(huffmanLength(""), 0);
  assert.equal(huffmanLength("0"), 1);
  assert.equal(huffmanLength("www.example.com"), 12);
});

Deno.test("huffmanLength refuses a character above U+00FF", () => {
  assert.throws(() => huffmanLength("caf\u0119"), RangeError);
});

Deno.test("decodeHuffman gives the empty string for no octets", () => {
  assert.equal(decode(), "");
});

Deno.test("decodeHuffman accepts 0 to 7 bits of ones as padding (RFC 7541 §5.2)", () => {
  // "&" is 11111000, "0" is 00000, ":" is 1011100: together they end at each place in an octet.
  assert.equal(decode(0b11111000), "&");
  assert.equal(decode(0b1011100_1), ":");
  assert.equal(decode(0b1011100_1, 0b011100_11), "::");
  assert.equal(decode(0b00000_111), "0");
  assert.equal(decode(0b1011100_0, 0b0000_1111), ":0");
  assert.equal(decode(0b1011100_1, 0b011100_00, 0b000_11111), "::0");
  assert.equal(decode(0b00000_000, 0b00_111111), "00");
  assert.equal(decode(0b00000_101, 0b1100_0000, 0b0_1111111), "0:0");
});

Deno.test("decodeHuffman refuses padding of 8 bits and more (RFC 7541 §5.2)", () => {
  assert.throws(() => decode(0xff), HpackError);
  assert.throws(() => decode(0b11111000, 0xff), HpackError);
  assert.throws(() => decode(0b00000_111, 0xff), HpackError);
  assert.throws(() => decode(0b00000_111, 0xff, 0xff), HpackError);
});

Deno.test("decodeHuffman refuses padding that is not all ones (RFC 7541 §5.2)", () => {
  assert.throws(() => decode(0b00000_000), HpackError);
  assert.throws(() => decode(0b00000_110), HpackError);
  assert.throws(() => decode(0b00000_011), HpackError);
});

Deno.test("decodeHuffman refuses the end-of-string symbol, anywhere (RFC 7541 §5.2)", () => {
  // 30 ones, alone with padding of ones, then after "0", then with "0" after it.
  assert.throws(() => decode(0xff, 0xff, 0xff, 0xff), HpackError);
  assert.throws(() => decode(0b00000_111, 0xff, 0xff, 0xff, 0b111_11111), HpackError);
  assert.throws(() => decode(0xff, 0xff, 0xff, 0b111111_00, 0b000_11111), HpackError);
  assert.throws(() => decode(0xff, 0xff, 0xff, 0b111111_00, 0b000_00000, 0b0000_1111), HpackError);
});

Deno.test("decodeHuffman inverts encodeHuffman on all octets it accepts", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
    let text: string;
    try {
      text = decodeHuffman(bytes, 0, bytes.length);
    } catch (error) {
      assert.ok(error instanceof HpackError);
      return;
    }
    assert.deepEqual(encode(text), bytes);
  }));
});
