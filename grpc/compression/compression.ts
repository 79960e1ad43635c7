import { compressedFrame, FramedMessage } from "../message_reader.ts";
import type { Codec } from "./codec.ts";

/** Messages below this are sent as they are: there is little to save, and the work is the same. */
export const DEFAULT_MIN_COMPRESS_BYTES = 8_192;

/** How one side of a call compresses what it sends. */
export class Compression {
  readonly codec: Codec;
  readonly #minBytes: number;

  /** Compresses messages from `minBytes` on. */
  constructor(codec: Codec, minBytes: number) {
    this.codec = codec;
    this.#minBytes = minBytes;
  }

  /** The message compressed and with its prefix; undefined where it is to be sent as it is. */
  frame(message: Uint8Array | FramedMessage): Uint8Array | undefined {
    if (message instanceof FramedMessage) {
      return message.length < this.#minBytes ? undefined : message.compressedBy(this.codec);
    }
    return message.length < this.#minBytes ? undefined : compressedFrame(message, this.codec);
  }
}
