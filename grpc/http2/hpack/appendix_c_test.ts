// Every example of RFC 7541 Appendix C from C.2 on (C.1, integers, is in integer_test.ts), blocks and table
// contents.
import assert from "node:assert/strict";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import { HpackError } from "./error.ts";
import { fieldBytes, type HeaderField } from "./header_field.ts";

type Line = readonly [name: string, value: string];

interface Block {
  readonly hex: string;
  readonly headers: readonly Line[];
  /** The dynamic table after the block, newest entry first. */
  readonly table: readonly Line[];
  readonly tableBytes: number;
}

const AUTHORITY: Line = [":authority", "www.example.com"];
const NO_CACHE: Line = ["cache-control", "no-cache"];
const CUSTOM: Line = ["custom-key", "custom-value"];
const PRIVATE: Line = ["cache-control", "private"];
const DATE_21: Line = ["date", "Mon, 21 Oct 2013 20:13:21 GMT"];
const DATE_22: Line = ["date", "Mon, 21 Oct 2013 20:13:22 GMT"];
const LOCATION: Line = ["location", "https://www.example.com"];
const STATUS_302: Line = [":status", "302"];
const STATUS_307: Line = [":status", "307"];
const GZIP: Line = ["content-encoding", "gzip"];
const COOKIE: Line = ["set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"];

/** C.3 and C.4 carry the same requests, C.5 and C.6 the same responses: without and with Huffman. */
const REQUESTS: readonly Omit<Block, "hex">[] = [
  {
    headers: [[":method", "GET"], [":scheme", "http"], [":path", "/"], AUTHORITY],
    table: [AUTHORITY],
    tableBytes: 57,
  },
  {
    headers: [[":method", "GET"], [":scheme", "http"], [":path", "/"], AUTHORITY, NO_CACHE],
    table: [NO_CACHE, AUTHORITY],
    tableBytes: 110,
  },
  {
    headers: [[":method", "GET"], [":scheme", "https"], [":path", "/index.html"], AUTHORITY, CUSTOM],
    table: [CUSTOM, NO_CACHE, AUTHORITY],
    tableBytes: 164,
  },
];

const RESPONSES: readonly Omit<Block, "hex">[] = [
  {
    headers: [STATUS_302, PRIVATE, DATE_21, LOCATION],
    table: [LOCATION, DATE_21, PRIVATE, STATUS_302],
    tableBytes: 222,
  },
  {
    headers: [STATUS_307, PRIVATE, DATE_21, LOCATION],
    table: [STATUS_307, LOCATION, DATE_21, PRIVATE],
    tableBytes: 222,
  },
  {
    headers: [[":status", "200"], PRIVATE, DATE_22, LOCATION, GZIP, COOKIE],
    table: [COOKIE, GZIP, DATE_22],
    tableBytes: 215,
  },
];

const C3 = [
  "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
  "8286 84be 5808 6e6f 2d63 6163 6865",
  "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
];
const C4 = [
  "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
  "8286 84be 5886 a8eb 1064 9cbf",
  "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
];
const C5 = [
  `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
   2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
   6c65 2e63 6f6d`,
  "4803 3330 37c1 c0bf",
  `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
   54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
   5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
   3d31`,
];
const C6 = [
  `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
   2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
  "4883 640e ffc1 c0bf",
  `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
   77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
   9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
];

function octets(hex: string): Uint8Array {
  return Uint8Array.from(hex.replaceAll(/\s/g, "").match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("");
}

function fieldsOf(lines: readonly Line[]): HeaderField[] {
  return lines.map(([name, value]) => ({ name, value }));
}

function newDecoder(maxTableBytes: number): HpackDecoder {
  return new HpackDecoder({ maxTableBytes, maxListBytes: 16_384, maxFields: 100 });
}

/**
 * Reads the dynamic table from outside: index 62 and up until the decoder says that there is no such entry.
 */
function tableOf(decoder: HpackDecoder): HeaderField[] {
  const entries: HeaderField[] = [];
  for (let index = 62;; index += 1) {
    try {
      entries.push(...decoder.decode(Uint8Array.of(0x80 | index)).fields);
    } catch (error) {
      assert.ok(error instanceof HpackError);
      return entries;
    }
  }
}

function checkBlocks(
  hexes: readonly string[],
  expected: readonly Omit<Block, "hex">[],
  maxTableBytes: number,
) {
  const decoder = newDecoder(maxTableBytes);
  assert.equal(hexes.length, expected.length);
  expected.forEach(({ headers, table, tableBytes }, position) => {
    const decoded = decoder.decode(octets(hexes[position] ?? ""));
    assert.deepEqual(decoded, {
      fields: fieldsOf(headers),
      tooLarge: false,
      listBytes: fieldsOf(headers).reduce((sum, field) => sum + fieldBytes(field), 0),
    });
    const entries = tableOf(decoder);
    assert.deepEqual(entries, fieldsOf(table));
    assert.equal(entries.reduce((sum, entry) => sum + fieldBytes(entry), 0), tableBytes);
  });
}

function checkLiteral(hex: string, field: HeaderField, table: readonly HeaderField[]) {
  const decoder = newDecoder(4096);
  assert.deepEqual(decoder.decode(octets(hex)), {
    fields: [field],
    tooLarge: false,
    listBytes: fieldBytes(field),
  });
  assert.deepEqual(tableOf(decoder), table);
}

Deno.test("HpackDecoder.decode reads RFC 7541 C.2.1, literal with incremental indexing", () => {
  const field = { name: "custom-key", value: "custom-header" };
  checkLiteral("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", field, [field]);
  assert.equal(fieldBytes(field), 55);
});

Deno.test("HpackDecoder.decode reads RFC 7541 C.2.2, literal without indexing", () => {
  checkLiteral("040c 2f73 616d 706c 652f 7061 7468", { name: ":path", value: "/sample/path" }, []);
});

Deno.test("HpackDecoder.decode reads RFC 7541 C.2.3, literal never indexed", () => {
  const field = { name: "password", value: "secret", sensitive: true };
  checkLiteral("1008 7061 7373 776f 7264 0673 6563 7265 74", field, []);
});

Deno.test("HpackDecoder.decode reads RFC 7541 C.2.4, indexed field", () => {
  checkLiteral("82", { name: ":method", value: "GET" }, []);
});

Deno.test("HpackDecoder.decode reads RFC 7541 C.3, requests without Huffman", () => {
  checkBlocks(C3, REQUESTS, 4096);
});

Deno.test("HpackDecoder.decode reads RFC 7541 C.4, requests with Huffman", () => {
  checkBlocks(C4, REQUESTS, 4096);
});

Deno.test("HpackDecoder.decode reads RFC 7541 C.5, responses with evictions from a 256-octet table", () => {
  checkBlocks(C5, RESPONSES, 256);
});

Deno.test("HpackDecoder.decode reads RFC 7541 C.6, Huffman responses with evictions", () => {
  checkBlocks(C6, RESPONSES, 256);
});

Deno.test("HpackEncoder.encode writes RFC 7541 C.4 octet for octet", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  REQUESTS.forEach(({ headers }, position) => {
    assert.equal(hexOf(encoder.encode(fieldsOf(headers))), hexOf(octets(C4[position] ?? "")));
  });
});

Deno.test("HpackEncoder.encode writes RFC 7541 C.6 but for the size update and a string no shorter coded", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 256 });
  const expected = [`3fe1 01 ${C6[0]}`, "4803 3330 37c1 c0bf", C6[2] ?? ""];
  RESPONSES.forEach(({ headers }, position) => {
    assert.equal(hexOf(encoder.encode(fieldsOf(headers))), hexOf(octets(expected[position] ?? "")));
  });
});
