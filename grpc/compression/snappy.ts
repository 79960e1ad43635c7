import { ByteSink } from "./byte_sink.ts";
import { type Codec, TooLargeError } from "./codec.ts";
import { crc32c } from "./crc32c.ts";
import { compressBlock, decompressBlock, uncompressedLength } from "./snappy_block.ts";

/** The stream identifier: what every stream begins with (framing format, §4.1). */
const IDENTIFIER = Uint8Array.of(0xff, 0x06, 0x00, 0x00, 0x73, 0x4e, 0x61, 0x50, 0x70, 0x59);
const COMPRESSED = 0x00;
const UNCOMPRESSED = 0x01;
/** Chunks from this type on are skipped; 0x02 to 0x7f must not be (§4.5, §4.6). */
const FIRST_SKIPPABLE = 0x80;
const HEADER_BYTES = 4;
const CHECKSUM_BYTES = 4;
/** Data of one chunk before compression (§4.2). */
const MAX_CHUNK_BYTES = 65_536;

/** Snappy in its framing format, as gRPC peers in other languages speak it. A library would be CommonJS, which costs a daemon more than 10 MB of memory. */
export const snappy: Codec = {
  name: "snappy",

  compress(message) {
    const to = new ByteSink(Infinity);
    to.put(IDENTIFIER);
    for (let from = 0; from < message.length; from += MAX_CHUNK_BYTES) {
      const data = message.subarray(from, from + MAX_CHUNK_BYTES);
      const block = new ByteSink(Infinity);
      compressBlock(data, block);
      const smaller = block.length < data.length;
      putChunk(to, smaller ? COMPRESSED : UNCOMPRESSED, smaller ? block.written : data, maskedChecksum(data));
    }
    return to.written;
  },

  decompress(compressed, maxBytes) {
    let total = 0;
    for (const chunk of chunks(compressed)) {
      total += chunk.length;
      if (total > maxBytes) throw new TooLargeError(maxBytes);
    }
    const message = new Uint8Array(total);
    let at = 0;
    for (const { type, body, length, checksum } of chunks(compressed)) {
      const data = message.subarray(at, at += length);
      if (type === COMPRESSED) decompressBlock(body, data);
      else data.set(body);
      if (maskedChecksum(data) !== checksum) throw new Error("the snappy data has a wrong checksum");
    }
    return message;
  },
};

/** A chunk with data. */
interface Chunk {
  readonly type: number;
  readonly body: Uint8Array;
  /** Bytes of the data once decompressed. */
  readonly length: number;
  readonly checksum: number;
}

function* chunks(bytes: Uint8Array): Generator<Chunk> {
  if (!IDENTIFIER.every((octet, at) => bytes[at] === octet)) {
    throw new Error("the data is not snappy: it does not begin with the framing format's identifier");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = IDENTIFIER.length; at < bytes.length;) {
    if (at + HEADER_BYTES > bytes.length) throw new Error("the snappy data is cut");
    const type = view.getUint8(at);
    const from = at + HEADER_BYTES;
    at = from + (view.getUint32(at, true) >>> 8);
    if (at > bytes.length) throw new Error("the snappy data is cut");
    if (type >= FIRST_SKIPPABLE) continue;
    if (type > UNCOMPRESSED) throw new Error(`the snappy data has a chunk of the unknown type ${type}`);
    if (at - from < CHECKSUM_BYTES) throw new Error("the snappy data has a chunk without a checksum");
    const body = bytes.subarray(from + CHECKSUM_BYTES, at);
    const length = type === COMPRESSED ? uncompressedLength(body) : body.length;
    if (length > MAX_CHUNK_BYTES) throw new Error(`the snappy data has a chunk of ${length} bytes`);
    yield { type, body, length, checksum: view.getUint32(from, true) };
  }
}

function putChunk(to: ByteSink, type: number, body: Uint8Array, checksum: number): void {
  const at = to.add(HEADER_BYTES + CHECKSUM_BYTES);
  const view = new DataView(to.bytes.buffer, to.bytes.byteOffset);
  view.setUint32(at, (CHECKSUM_BYTES + body.length) << 8 | type, true);
  view.setUint32(at + HEADER_BYTES, checksum, true);
  to.put(body);
}

/** Checksums of data that may itself contain checksums are masked (§3). */
function maskedChecksum(data: Uint8Array): number {
  const crc = crc32c(data);
  return (crc >>> 15 | crc << 17) + 0xa282ead8 >>> 0;
}
