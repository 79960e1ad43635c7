import type { PipeWriter } from "./shared_pipe.ts";

/** Sends through a pipe without ever blocking: what does not fit waits here, in order. */
export class Outbox {
  readonly #pipe: PipeWriter;
  #waiting: Uint8Array[] = [];

  constructor(pipe: PipeWriter) {
    this.#pipe = pipe;
  }

  /** The bytes may be changed afterwards. */
  send(bytes: Uint8Array): void {
    if (this.#waiting.length > 0) {
      this.#waiting.push(bytes.slice());
      return;
    }
    const sent = this.#pipe.offer(bytes);
    if (sent === bytes.length) return;
    this.#waiting.push(bytes.slice(sent));
    void this.#pump(); // ends by itself when all is sent, and never fails
  }

  async #pump(): Promise<void> {
    while (this.#waiting.length > 0) {
      const taken = this.#pipe.taken;
      let done = 0;
      for (const bytes of this.#waiting) {
        const sent = this.#pipe.offer(bytes);
        if (sent < bytes.length) {
          this.#waiting[done] = bytes.subarray(sent);
          break;
        }
        done++;
      }
      this.#waiting.splice(0, done);
      if (this.#waiting.length > 0) await this.#pipe.room(taken);
    }
  }
}
