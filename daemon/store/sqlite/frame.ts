import type { PipeReader } from "./shared_pipe.ts";

/** Every frame begins with its length (without these bytes), little endian. */
export const FRAME_LENGTH_BYTES = 4;

/** Takes whole frames out of a pipe, whatever pieces they arrive in. */
export class FrameReader {
  readonly #pipe: PipeReader;
  readonly #length = new Uint8Array(FRAME_LENGTH_BYTES);
  #lengthBytes = 0;
  #frame: Uint8Array<ArrayBuffer> | undefined;
  #frameBytes = 0;

  constructor(pipe: PipeReader) {
    this.#pipe = pipe;
  }

  /** The next frame in a buffer of its own; undefined until all of it has arrived. */
  next(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#frame === undefined) {
      this.#lengthBytes += this.#pipe.take(this.#length.subarray(this.#lengthBytes));
      if (this.#lengthBytes < FRAME_LENGTH_BYTES) return undefined;
      this.#frame = new Uint8Array(new DataView(this.#length.buffer).getUint32(0, true));
      this.#frameBytes = 0;
    }
    const frame = this.#frame;
    this.#frameBytes += this.#pipe.take(frame.subarray(this.#frameBytes));
    if (this.#frameBytes < frame.length) return undefined;
    this.#frame = undefined;
    this.#lengthBytes = 0;
    return frame;
  }
}
