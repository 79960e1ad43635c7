import type { Codec } from "./codec.ts";
import { lz4 } from "./lz4.ts";
import { snappy } from "./snappy.ts";
import { builtInCodecs } from "./zlib.ts";

/**
 * How messages may be compressed on their way. `gzip` (RFC 1952) and `zstd` (RFC 8878) are the runtime's: Deno and Bun
 * have both, Node has zstd from 22.15 on, browsers have neither. `snappy` (its framing format) and `lz4` (its frame
 * format) work everywhere.
 */
export type Encoding = "gzip" | "zstd" | "snappy" | "lz4";

let codecs: ReadonlyMap<string, Codec> | undefined;

/** Made when the first call asks for compression: loading the runtime's codecs costs memory. */
function loadedCodecs(): ReadonlyMap<string, Codec> {
  return codecs ??= new Map([...builtInCodecs(), snappy, lz4].map((codec) => [codec.name, codec]));
}

/** The codec of an encoding; undefined where this runtime has none, or the name is unknown. */
export function codecOf(encoding: string): Codec | undefined {
  return loadedCodecs().get(encoding);
}

/** What this side can decompress, as `grpc-accept-encoding` says it. */
export function acceptedEncodings(): string {
  return ["identity", ...loadedCodecs().keys()].join(",");
}

/** Whether a `grpc-accept-encoding` names the encoding. */
export function accepts(acceptEncoding: string, encoding: string): boolean {
  return acceptEncoding.split(",").some((name) => name.trim() === encoding);
}
