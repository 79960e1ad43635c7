import { BusError, closingError } from "./error.ts";
import type { BusLimits } from "./limits.ts";
import { pendingBytes } from "./pending_publish.ts";

/** A call that waits for room. */
interface Waiting {
  readonly action: string;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Who may still come in: bounds what was accepted and has not settled, and knows when the last of it has. */
export class Admission {
  readonly #limits: BusLimits;
  #bytes = 0;
  #calls = 0;
  #closing = false;
  #settled: (() => void) | undefined;
  /** Those that wait for room, in the order in which they came. */
  readonly #waiting: Waiting[] = [];
  #waitingBytes = 0;

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
    const { pendingBytes: pendingLimit } = this.#limits;
    this.checkMessageSize(action, payload, headers);
    if (this.#bytes + pendingBytes(payload, headers) > pendingLimit) {
      const state = `${this.#bytes} bytes wait for the disk, limit is ${pendingLimit}`;
      throw exhausted(action, `${state}; wait for earlier messages and try again`);
    }
  }

  /** Throws "resource_exhausted" when the message is too large. */
  checkMessageSize(action: string, payload: Uint8Array, headers: Uint8Array): void {
    const { messageBytes, headerBytes } = this.#limits;
    const bytes = payload.length + headers.length;
    if (bytes > messageBytes) {
      throw exhausted(action, `payload and headers are ${bytes} bytes, limit is ${messageBytes}; send less`);
    }
    if (headers.length > headerBytes) {
      throw exhausted(action, `headers are ${headers.length} bytes, limit is ${headerBytes}; send less`);
    }
  }

  /**
   * Enters when there is room, in the order of the calls; more than all the room there is enters alone. Rejects with the
   * signal's reason when that aborts, with "unavailable" when the bus closes meanwhile, and with "resource_exhausted" when
   * as much waits already as there is room for.
   */
  async enterInTurn(action: string, bytes: number, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.tryEnter(bytes)) return;
    if (this.#waiting.length > 0 && this.#waitingBytes + bytes > this.#limits.pendingBytes) {
      const state = `${this.#waitingBytes} bytes wait for room on their way to the disk`;
      throw exhausted(action, `${state}; wait for earlier messages and try again`);
    }
    await this.#wait(action, bytes, signal);
  }

  /** Enters where there is room and nobody waits for it; says whether it did. */
  tryEnter(bytes: number): boolean {
    if (this.#waiting.length > 0 || !this.#hasRoom(bytes)) return false;
    this.enter(bytes);
    return true;
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
    this.#admitWaiting();
    if (this.#calls === 0) this.#settled?.();
  }

  /** Refuses new calls; settles when the accepted ones have. */
  close(): Promise<void> {
    this.#closing = true;
    for (const { reject, action } of this.#waiting.splice(0)) reject(closingError(action));
    if (this.#calls === 0) return Promise.resolve();
    return new Promise((resolve) => this.#settled = resolve);
  }

  #hasRoom(bytes: number): boolean {
    return this.#bytes === 0 || this.#bytes + bytes <= this.#limits.pendingBytes;
  }

  async #wait(action: string, bytes: number, signal: AbortSignal | undefined): Promise<void> {
    let waiting: Waiting | undefined;
    const leave = () => {
      const at = waiting === undefined ? -1 : this.#waiting.indexOf(waiting);
      if (at < 0) return;
      this.#waiting.splice(at, 1);
      waiting?.reject(signal?.reason);
      // Whoever came behind it may need less.
      this.#admitWaiting();
    };
    signal?.addEventListener("abort", leave);
    try {
      await new Promise<void>((resolve, reject) => {
        waiting = { action, bytes, resolve, reject };
        this.#waiting.push(waiting);
        this.#waitingBytes += bytes;
      });
    } finally {
      this.#waitingBytes -= bytes;
      signal?.removeEventListener("abort", leave);
    }
  }

  #admitWaiting(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && this.#hasRoom(next.bytes);
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      // At once, not when its promise settles: those behind it must see it.
      this.enter(next.bytes);
      next.resolve();
    }
  }
}

function exhausted(action: string, state: string): BusError {
  return new BusError("resource_exhausted", `Cannot ${action}: ${state}`);
}
