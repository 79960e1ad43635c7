import { TooLargeError } from "./codec.ts";

const FRAME_MAGIC = 0xfd2fb528;
const BLOCK_TYPE_RLE = 1;
const BLOCK_TYPE_RESERVED = 3;
const CHECKSUM_BYTES = 4;
/** What every decoder is recommended to support at least, and so what encoders keep to (RFC 8878 §3.1.1.1.2). */
const MAX_WINDOW_BYTES = 8 << 20;

/**
 * Throws when the bytes are not one whole Zstandard frame (RFC 8878 §3.1.1), when it asks its decoder to keep more than
 * 8 MiB of history, or (TooLargeError) says that it has more than `maxBytes`. Looks at headers only.
 */
export function checkZstdFrame(bytes: Uint8Array, maxBytes: number): void {
  let end: number;
  try {
    end = frameEnd(viewOf(bytes), maxBytes);
  } catch (error) {
    throw error instanceof RangeError ? new Error("the zstd data is cut") : error;
  }
  if (end > bytes.length) throw new Error("the zstd data is cut");
  // The runtime would leave out what follows the first frame without a word.
  if (end < bytes.length) throw new Error("the zstd data has more than one frame");
}

/** The first frame of what an encoder wrote, without what follows it. */
export function firstZstdFrame(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(0, frameEnd(viewOf(bytes), Infinity));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Where the frame ends. Reading past the end throws RangeError. */
function frameEnd(view: DataView, maxBytes: number): number {
  if (view.getUint32(0, true) !== FRAME_MAGIC) throw new Error("the data is not a zstd frame");
  const descriptor = view.getUint8(4);
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentSizeFlag = descriptor >> 6;
  const dictionaryIdBytes = [0, 1, 2, 4][descriptor & 3] ?? 0;
  let next = 5;
  if (!singleSegment) requireWindow(view.getUint8(next++));
  next += dictionaryIdBytes;
  const contentSizeBytes = contentSizeFlag === 0 ? (singleSegment ? 1 : 0) : 1 << contentSizeFlag;
  // A decoder takes the whole content for the window of a single segment, and its memory at once.
  if (contentSize(view, next, contentSizeBytes) > maxBytes) throw new TooLargeError(maxBytes);
  next += contentSizeBytes;
  for (let last = false; !last;) {
    const header = view.getUint8(next) | view.getUint8(next + 1) << 8 | view.getUint8(next + 2) << 16;
    const type = header >> 1 & 3;
    if (type === BLOCK_TYPE_RESERVED) throw new Error("the zstd data has a block of a reserved type");
    last = (header & 1) !== 0;
    next += 3 + (type === BLOCK_TYPE_RLE ? 1 : header >> 3);
  }
  return next + ((descriptor & 4) !== 0 ? CHECKSUM_BYTES : 0);
}

/** Frame_Content_Size (RFC 8878 §3.1.1.1.4); 0 where it is not said. */
function contentSize(view: DataView, at: number, size: number): number {
  switch (size) {
    case 1:
      return view.getUint8(at);
    case 2:
      return view.getUint16(at, true) + 256;
    case 4:
      return view.getUint32(at, true);
    case 8:
      return Number(view.getBigUint64(at, true));
    default:
      return 0;
  }
}

/** Window_Descriptor (RFC 8878 §3.1.1.1.2). */
function requireWindow(descriptor: number): void {
  const base = 2 ** (10 + (descriptor >> 3));
  const bytes = base + base / 8 * (descriptor & 7);
  if (bytes > MAX_WINDOW_BYTES) {
    throw new Error(`the zstd data needs a window of ${bytes} bytes, limit is ${MAX_WINDOW_BYTES}`);
  }
}
