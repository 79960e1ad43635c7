import { BusError, closingError } from "./error.ts";
import type { BusLimits } from "./limits.ts";
import { pendingBytes } from "./pending_publish.ts";

/** Who may still come in: bounds what was accepted and has not settled, and knows when the last of it has. */
export class Admission {
  readonly #limits: BusLimits;
  #bytes = 0;
  #calls = 0;
  #closing = false;
  #settled: (() => void) | undefined;

  constructor(limits: BusLimits) {
    this.#limits = limits;
  }

  get closing(): boolean {
    return this.#closing;
  }

  /** Throws "unavailable" when the bus is closing. */
  checkOpen(action: string): void {
    if (this.#closing) throw closingError(action);
  }

  /** Throws "resource_exhausted" when the message is too large, or too much is on its way to the disk. */
  checkSize(action: string, payload: Uint8Array, headers: Uint8Array): void {
    const { messageBytes, headerBytes, pendingBytes: pendingLimit } = this.#limits;
    const bytes = payload.length + headers.length;
    if (bytes > messageBytes) {
      throw exhausted(action, `payload and headers are ${bytes} bytes, limit is ${messageBytes}; send less`);
    }
    if (headers.length > headerBytes) {
      throw exhausted(action, `headers are ${headers.length} bytes, limit is ${headerBytes}; send less`);
    }
    if (this.#bytes + pendingBytes(payload, headers) > pendingLimit) {
      const state = `${this.#bytes} bytes wait for the disk, limit is ${pendingLimit}`;
      throw exhausted(action, `${state}; wait for earlier messages and try again`);
    }
  }

  /** A call was accepted. */
  enter(bytes: number): void {
    this.#bytes += bytes;
    this.#calls++;
  }

  /** It has settled. */
  exit(bytes: number): void {
    this.#bytes -= bytes;
    this.#calls--;
    if (this.#calls === 0) this.#settled?.();
  }

  /** Refuses new calls; settles when the accepted ones have. */
  close(): Promise<void> {
    this.#closing = true;
    if (this.#calls === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settled = resolve);
  }
}

function exhausted(action: string, state: string): BusError {
  return new BusError("resource_exhausted", `Cannot ${action}: ${state}`);
}
