import { PACE_WINDOW_MS } from "./limits.ts";
import type { LeaseHolder } from "./leases.ts";

/** What a session that waits for a log sees of the one that copies it. */
export class LeaseWatch {
  #holder: LeaseHolder | undefined;
  #headId: number;
  #stalledMs = 0;
  #windowHeadId: number;
  #windowMs = 0;
  #pace: number | undefined;

  constructor(holder: LeaseHolder | undefined, headId: number) {
    this.#holder = holder;
    this.#headId = this.#windowHeadId = headId;
  }

  /** To be told who copies the log, and how many messages it has, so many milliseconds after the last time. */
  look(ms: number, holder: LeaseHolder | undefined, headId: number): void {
    if (holder !== this.#holder) {
      this.#holder = holder;
      this.#stalledMs = 0;
      this.#pace = undefined;
      this.#begin(headId);
    } else {
      this.#stalledMs = headId > this.#headId ? 0 : this.#stalledMs + ms;
      this.#windowMs += ms;
    }
    this.#headId = headId;
    if (this.#windowMs < PACE_WINDOW_MS) return;
    this.#pace = Math.max(0, headId - this.#windowHeadId) / this.#windowMs;
    this.#begin(headId);
  }

  /** Milliseconds since something was copied. */
  get stalledMs(): number {
    return this.#stalledMs;
  }

  /** Messages per millisecond that were copied of late; undefined while that is not known. */
  get pace(): number | undefined {
    return this.#pace;
  }

  #begin(headId: number): void {
    this.#windowHeadId = headId;
    this.#windowMs = 0;
  }
}
