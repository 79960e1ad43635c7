import { ByteSink } from "./byte_sink.ts";
import type { Codec } from "./codec.ts";
import { compressBlock, decompressBlock } from "./lz4_block.ts";
import { xxh32 } from "./xxh32.ts";

const FRAME_MAGIC = 0x184d2204;
/** Frames that a decoder skips have one of 16 magic numbers. */
const SKIPPABLE_MAGIC = 0x184d2a50;
// The bits of FLG (LZ4 frame format 1.6.2, Frame Descriptor).
const VERSION_1 = 0x40;
const VERSION_MASK = 0xc0;
const INDEPENDENT_BLOCKS = 0x20;
const BLOCK_CHECKSUMS = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;
const DICTIONARY = 0x01;
/** BD for blocks of at most 64 KiB. */
const BLOCKS_OF_64_KIB = 0x40;
const BLOCK_BYTES = 65_536;
/** Set in the size of a block that is stored as it is. */
const STORED = 0x80000000;

/** LZ4 in its frame format. The libraries there are keep no bounds on damaged input or are CommonJS, which costs a daemon more than 10 MB of memory. */
export const lz4: Codec = {
  name: "lz4",

  compress(message) {
    const to = new ByteSink(Infinity);
    put32(to, FRAME_MAGIC);
    const descriptor = Uint8Array.of(VERSION_1 | INDEPENDENT_BLOCKS | CONTENT_CHECKSUM, BLOCKS_OF_64_KIB);
    to.put(descriptor);
    to.put8(xxh32(descriptor) >>> 8 & 0xff);
    for (let from = 0; from < message.length; from += BLOCK_BYTES) {
      const data = message.subarray(from, from + BLOCK_BYTES);
      const block = new ByteSink(Infinity);
      compressBlock(data, block);
      const smaller = block.length < data.length;
      put32(to, smaller ? block.length : (data.length | STORED) >>> 0);
      to.put(smaller ? block.written : data);
    }
    put32(to, 0);
    put32(to, xxh32(message));
    return to.written;
  },

  decompress(compressed, maxBytes) {
    const to = new ByteSink(maxBytes);
    const view = new DataView(compressed.buffer, compressed.byteOffset, compressed.byteLength);
    try {
      let at = 0;
      do at = decompressFrame(compressed, view, at, to); while (at < compressed.length);
      if (at > compressed.length) throw new RangeError();
    } catch (error) {
      throw error instanceof RangeError ? new Error("the lz4 data is cut") : error;
    }
    return to.written;
  },
};

/** Decompresses the frame at `at` and says where it ends. Reading past the end throws RangeError. */
function decompressFrame(bytes: Uint8Array, view: DataView, at: number, to: ByteSink): number {
  const magic = view.getUint32(at, true);
  if ((magic & ~0xf) === SKIPPABLE_MAGIC) return at + 8 + view.getUint32(at + 4, true);
  if (magic !== FRAME_MAGIC) throw new Error("the data is not lz4");
  const flags = view.getUint8(at + 4);
  const maxBlockBytes = blockBytes(view.getUint8(at + 5));
  if ((flags & VERSION_MASK) !== VERSION_1) throw new Error("the lz4 data is of an unknown version");
  if ((flags & DICTIONARY) !== 0) throw new Error("the lz4 data needs a dictionary");
  let next = at + 6 + ((flags & CONTENT_SIZE) !== 0 ? 8 : 0);
  if (view.getUint8(next) !== (xxh32(bytes.subarray(at + 4, next)) >>> 8 & 0xff)) {
    throw new Error("the lz4 data has a damaged header");
  }
  next++;
  const begin = to.length;
  const size = (flags & CONTENT_SIZE) !== 0 ? view.getBigUint64(at + 6, true) : undefined;
  for (;;) {
    const word = view.getUint32(next, true);
    next += 4;
    if (word === 0) break;
    const size = word & ~STORED;
    if (size > maxBlockBytes) throw new Error("the lz4 data has a block that is too large");
    if (next + size > bytes.length) throw new RangeError();
    const block = bytes.subarray(next, next + size);
    next += size;
    if ((flags & BLOCK_CHECKSUMS) !== 0) {
      requireChecksum(block, view.getUint32(next, true));
      next += 4;
    }
    const from = to.length;
    if ((word & STORED) !== 0) to.put(block);
    else decompressBlock(block, to, (flags & INDEPENDENT_BLOCKS) !== 0 ? from : begin);
    if (to.length - from > maxBlockBytes) throw new Error("the lz4 data has a block that is too large");
  }
  if (size !== undefined && size !== BigInt(to.length - begin)) {
    throw new Error("the lz4 data is not as long as it says");
  }
  if ((flags & CONTENT_CHECKSUM) !== 0) {
    requireChecksum(to.bytes.subarray(begin, to.length), view.getUint32(next, true));
    next += 4;
  }
  return next;
}

/** The largest block by BD: 64 KiB, 256 KiB, 1 MiB or 4 MiB. */
function blockBytes(descriptor: number): number {
  const code = descriptor >> 4 & 7;
  if (code < 4) throw new Error("the lz4 data has a damaged header");
  return 1 << 8 + 2 * code;
}

function requireChecksum(bytes: Uint8Array, checksum: number): void {
  if (xxh32(bytes) !== checksum) throw new Error("the lz4 data has a wrong checksum");
}

function put32(to: ByteSink, word: number): void {
  const at = to.add(4);
  new DataView(to.bytes.buffer, to.bytes.byteOffset).setUint32(at, word, true);
}
