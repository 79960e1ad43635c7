import type { PipeReader } from "./shared_pipe.ts";

/** Every frame begins with its length (without these bytes), little endian. */
export const FRAME_LENGTH_BYTES = 4;

/** Takes whole frames out of a pipe, whatever pieces they arrive in. */
export class FrameReader {
  readonly #pipe: PipeReader;
  readonly #take: (length: number) => Uint8Array<ArrayBuffer>;
  readonly #length = new Uint8Array(FRAME_LENGTH_BYTES);
  #lengthBytes = 0;
  #frame: Uint8Array<ArrayBuffer> | undefined;
  #frameBytes = 0;

  /** `take` gives the bytes for each frame: an array of its own where absent. */
  constructor(
    pipe: PipeReader,
    take: (length: number) => Uint8Array<ArrayBuffer> = (length) => new Uint8Array(length),
  ) {
    this.#pipe = pipe;
    this.#take = take;
  }

  /** The next frame; undefined until all of it has arrived. */
  next(): Uint8Array<ArrayBuffer> | undefined {
    if (this.#frame === undefined) {
      this.#lengthBytes += this.#pipe.take(this.#length.subarray(this.#lengthBytes));
      if (this.#lengthBytes < FRAME_LENGTH_BYTES) return undefined;
      this.#frame = this.#take(new DataView(this.#length.buffer).getUint32(0, true));
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
