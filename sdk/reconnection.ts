import { backoffMs } from "./backoff.ts";
import type { MsgbusError } from "./error.ts";
import type { Rpc } from "./rpc.ts";
import { sleep } from "./sleep.ts";

/** What a stream tells before it waits to connect anew. */
export interface Reconnect {
  /** Attempts in a row that failed, from 1 on. */
  readonly attempt: number;
  /** Milliseconds until the next attempt. */
  readonly delayMs: number;
  /** Why the stream ended. */
  readonly error: MsgbusError;
}

/** How long a stream waits between its attempts to connect. */
export class Reconnection {
  readonly #rpc: Rpc;
  readonly #onReconnect: ((reconnect: Reconnect) => void) | undefined;
  #failures = 0;

  /** `onReconnect` is told before every wait. */
  constructor(rpc: Rpc, onReconnect: ((reconnect: Reconnect) => void) | undefined) {
    this.#rpc = rpc;
    this.#onReconnect = onReconnect;
  }

  /** Something came: the next failure is the first in a row. */
  succeeded(): void {
    this.#failures = 0;
  }

  /** Waits after a stream that lived `livedMs` has failed, or until the signal is aborted. */
  async wait(error: MsgbusError, livedMs: number, signal: AbortSignal): Promise<void> {
    const { backoff, random, clock } = this.#rpc;
    // A stream that was fine for long and only had nothing to tell is no failed attempt.
    if (livedMs > backoff.maxMs) this.#failures = 0;
    this.#failures++;
    const delayMs = backoffMs(backoff, this.#failures, random);
    this.#onReconnect?.({ attempt: this.#failures, delayMs, error });
    await sleep(clock, delayMs, signal);
  }
}
