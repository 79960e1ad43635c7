import { type Codec, TooLargeError } from "./codec.ts";
import { checkZstdFrame, firstZstdFrame } from "./zstd_frame.ts";

/** The part of `node:zlib` that is used here. */
interface Zlib {
  gzipSync(bytes: Uint8Array, options: { level: number }): Uint8Array;
  gunzipSync(bytes: Uint8Array, options: { maxOutputLength: number }): Uint8Array;
  readonly zstdCompressSync?: (bytes: Uint8Array) => Uint8Array;
  readonly zstdDecompressSync?: (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;
}

/** Levels above 1 make JSON a tenth smaller and take three times as long, on the thread that serves all calls. */
const GZIP_LEVEL = 1;

/** gzip and zstd, as far as this runtime has them. */
export function builtInCodecs(): readonly Codec[] {
  const zlib = loadZlib();
  if (zlib === undefined) return [];
  const { zstdCompressSync, zstdDecompressSync } = zlib;
  const codecs = [gzip(zlib)];
  if (zstdCompressSync !== undefined && zstdDecompressSync !== undefined) {
    codecs.push(zstd(zstdCompressSync, zstdDecompressSync));
  }
  return codecs;
}

/** Asked for at run time, not imported: so the module also loads in browsers, and costs nothing until it is used. */
function loadZlib(): Zlib | undefined {
  const { process } = globalThis as { process?: { getBuiltinModule?: (name: string) => Zlib | undefined } };
  return process?.getBuiltinModule?.("node:zlib");
}

function gzip(zlib: Zlib): Codec {
  return {
    name: "gzip",
    compress: (message) => zlib.gzipSync(message, { level: GZIP_LEVEL }),
    decompress: (compressed, maxBytes) =>
      bounded(maxBytes, () => zlib.gunzipSync(compressed, { maxOutputLength: atLeastOne(maxBytes) })),
  };
}

function zstd(
  compress: NonNullable<Zlib["zstdCompressSync"]>,
  decompress: NonNullable<Zlib["zstdDecompressSync"]>,
): Codec {
  return {
    name: "zstd",
    // Behind one of more than 16 KiB Deno mostly writes another frame, which is empty.
    compress: (message) => firstZstdFrame(compress(message)),
    decompress: (compressed, maxBytes) => {
      // The runtime gives what it has of a cut input without an error, and would take any window.
      checkZstdFrame(compressed, maxBytes);
      return bounded(maxBytes, () => decompress(compressed, { maxOutputLength: atLeastOne(maxBytes) }));
    },
  };
}

/** The runtime takes no limit of 0. */
function atLeastOne(maxBytes: number): number {
  return Math.max(1, maxBytes);
}

function bounded(maxBytes: number, decompress: () => Uint8Array): Uint8Array {
  try {
    const { buffer, byteOffset, byteLength } = decompress();
    return new Uint8Array(buffer, byteOffset, byteLength); // a plain array, not the runtime's Buffer
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    throw code === "ERR_BUFFER_TOO_LARGE" ? new TooLargeError(maxBytes) : error;
  }
}
