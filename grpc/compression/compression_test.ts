import assert from "node:assert/strict";
import fc from "fast-check";
import { type Codec, TooLargeError } from "./codec.ts";
import { codecOf } from "./encoding.ts";
import { xxh32 } from "./xxh32.ts";

const CODECS = ["gzip", "zstd", "snappy", "lz4"].map(codec);
const TEXT = new TextEncoder().encode("sensor temperature 21.5; ".repeat(20));
const SAMPLE = Uint8Array.from([...TEXT, ...Array(40).keys()]);
const LIMIT = 4_194_304;

/** SAMPLE by other implementations: the framing format of the Rust crate `snap`, frames of the C library `lz4`. */
const SNAPPY_SAMPLE =
  "ff060000734e6150705900620000a65d8cfd9c046473656e736f722074656d70657261747572652032312e353b2073" +
  "fe1900fe1900fe1900fe1900fe1900fe1900fe19006619009c" +
  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627";
const LZ4_SAMPLE_ALL_CHECKSUMS = "04224d187c401c020000000000006849000000" +
  "ff0a73656e736f722074656d70657261747572652032312e353b201900ffc9f019" +
  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627" +
  "2ec140bf0000000062be9f88";

function codec(encoding: string): Codec {
  const found = codecOf(encoding);
  assert(found !== undefined, encoding);
  return found;
}

/** Bytes in which pieces of before come again, as in real messages, and others that do not. */
const repetitive = fc.array(
  fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 9 }), fc.nat(3_000)).map(([piece, times]) =>
      Uint8Array.from({ length: piece.length * times }, (_, at) => piece[at % piece.length] ?? 0)
    ),
  ),
  { maxLength: 12 },
).map((pieces) => Uint8Array.from(pieces.flatMap((piece) => [...piece])));

for (const { name, compress, decompress } of CODECS) {
  Deno.test(`${name} gives back what was compressed`, () => {
    fc.assert(fc.property(repetitive, (bytes) => {
      assert.deepEqual(decompress(compress(bytes), bytes.length), bytes);
    }));
  });

  Deno.test(`${name} makes repetitive bytes smaller, over many blocks`, () => {
    const bytes = new Uint8Array(1_000_000).map((_, at) => (at % 1_000) * 7);
    const compressed = compress(bytes);
    assert(compressed.length < bytes.length / 5, `${compressed.length}`);
    assert.deepEqual(decompress(compressed, LIMIT), bytes);
  });

  Deno.test(`${name} stops at the limit before the bytes are made`, () => {
    const bomb = compress(new Uint8Array(64 << 20));
    assert.throws(() => decompress(bomb, LIMIT), TooLargeError);
    const exact = compress(SAMPLE);
    assert.deepEqual(decompress(exact, SAMPLE.length), SAMPLE);
    assert.throws(() => decompress(exact, SAMPLE.length - 1), TooLargeError);
  });

  Deno.test(`${name} refuses input that is cut, wherever`, () => {
    const compressed = compress(Uint8Array.from([...SAMPLE, ...crypto.getRandomValues(new Uint8Array(500))]));
    // A snappy stream has no end mark: cut behind its identifier, it is a whole stream without data.
    const whole = name === "snappy" ? 10 : -1;
    for (let length = 0; length < compressed.length; length++) {
      if (length !== whole) {
        assert.throws(() => decompress(compressed.subarray(0, length), LIMIT), `${length}`);
      }
    }
  });

  Deno.test(`${name} survives damage: an error or other bytes within the limit, nothing else`, () => {
    const compressed = compress(SAMPLE);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(compressed.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const damaged = Uint8Array.from(compressed);
          for (const [at, octet] of changes) damaged[at] = octet;
          try {
            assert(decompress(damaged, 10_000).length <= 10_000);
          } catch (error) {
            assert(error instanceof Error && !(error instanceof TypeError), String(error));
          }
        },
      ),
      { numRuns: 500 },
    );
  });
}

Deno.test("snappy reads what another implementation wrote, and keeps its checksums", () => {
  const { decompress } = codec("snappy");
  assert.deepEqual(decompress(Uint8Array.fromHex(SNAPPY_SAMPLE), LIMIT), SAMPLE);
  const wrong = Uint8Array.fromHex(SNAPPY_SAMPLE.replace("a65d8cfd", "a65d8cfe"));
  assert.throws(() => decompress(wrong, LIMIT), /wrong checksum/);
});

Deno.test("lz4 reads what another implementation wrote, and keeps its checksums", () => {
  const { decompress } = codec("lz4");
  assert.deepEqual(decompress(Uint8Array.fromHex(LZ4_SAMPLE_ALL_CHECKSUMS), LIMIT), SAMPLE);
  for (const [right, wrong] of [["2ec140bf", "2ec140be"], ["62be9f88", "62be9f89"]] as const) {
    const damaged = Uint8Array.fromHex(LZ4_SAMPLE_ALL_CHECKSUMS.replace(right, wrong));
    assert.throws(() => decompress(damaged, LIMIT), /wrong checksum/);
  }
  const header = Uint8Array.fromHex(LZ4_SAMPLE_ALL_CHECKSUMS.replace("0068", "0069"));
  assert.throws(() => decompress(header, LIMIT), /damaged header/);
});

Deno.test("zstd of two frames is refused: the runtime would leave the second out without a word", () => {
  const { compress, decompress } = codec("zstd");
  const frame = compress(SAMPLE);
  assert.throws(() => decompress(Uint8Array.from([...frame, ...frame]), LIMIT), /more than one frame/);
  const skippable = [0x50, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 9];
  assert.throws(() => decompress(Uint8Array.from([...skippable, ...frame]), LIMIT), /not a zstd frame/);
});

Deno.test("each encoding gives back large messages, whether they become smaller or not", () => {
  let state = 1;
  const noise = Uint8Array.from(
    { length: 300_000 },
    () => (state = Math.imul(state, 1_103_515_245) + 12_345 | 0) >>> 16,
  );
  for (const { name, compress, decompress } of CODECS) {
    for (const message of [noise, noise.subarray(0, 20_000), noise.map((octet) => octet & 3)]) {
      assert.deepEqual(decompress(compress(message), LIMIT), message, name);
    }
  }
});

Deno.test("lz4 finds every changed bit of what it wrote itself", () => {
  const { compress, decompress } = codec("lz4");
  const frame = compress(SAMPLE);
  for (let bit = 0; bit < frame.length * 8; bit++) {
    const damaged = Uint8Array.from(frame);
    damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ 1 << (bit & 7);
    let result: Uint8Array | undefined;
    try {
      result = decompress(damaged, LIMIT);
    } catch {
      continue;
    }
    assert.deepEqual(result, SAMPLE, `bit ${bit}`);
  }
});

Deno.test("lz4 refuses a frame that is not as long as it says", () => {
  const said = LZ4_SAMPLE_ALL_CHECKSUMS.replace("1c02000000000000", "1d02000000000000");
  const header = Uint8Array.fromHex(said);
  header[14] = xxh32(header.subarray(4, 14)) >>> 8 & 0xff;
  assert.throws(() => codec("lz4").decompress(header, LIMIT), /not as long as it says/);
});

Deno.test("zstd with a window above 8 MiB is refused: it is the sender who would choose our memory", () => {
  // A frame header with Window_Descriptor 0x88 (128 MiB), then one empty last block.
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00);
  assert.throws(() => codec("zstd").decompress(frame, LIMIT), /needs a window of 134217728 bytes/);
});

Deno.test("zstd of a single segment that says it is larger than the limit is refused by its header", () => {
  const frame = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0x01, 0x00, 0x40, 0x00, 0x01, 0x00, 0x00);
  assert.throws(() => codec("zstd").decompress(frame, LIMIT), TooLargeError);
});
