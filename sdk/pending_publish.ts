import { MsgbusError } from "./error.ts";
import { SDK_LIMITS } from "./limits.ts";
import type { Message } from "./message.ts";

/** A message on its way, and who waits for it. What settles it first counts. */
export class PendingPublish {
  readonly topic: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Its idempotency key; "" for none. */
  readonly key: string;
  /** By the client's clock. */
  readonly deadlineMs: number;
  /** Aborted by whoever does not wait any more. */
  readonly signal: AbortSignal | undefined;
  /** Where its payload lies in the bytes of its batch. */
  payloadFrom = 0;
  payloadTo = 0;
  #settled = false;
  readonly #resolve: (message: Message) => void;
  readonly #reject: (error: unknown) => void;

  constructor(
    topic: string,
    headers: Readonly<Record<string, string>>,
    key: string,
    deadlineMs: number,
    signal: AbortSignal | undefined,
    resolve: (message: Message) => void,
    reject: (error: unknown) => void,
  ) {
    this.topic = topic;
    this.headers = headers;
    this.key = key;
    this.deadlineMs = deadlineMs;
    this.signal = signal;
    this.#resolve = resolve;
    this.#reject = reject;
    if (signal?.aborted) this.#onAbort();
    else signal?.addEventListener("abort", this.#onAbort);
  }

  /** Whether nobody waits any more. */
  get settled(): boolean {
    return this.#settled;
  }

  /** It is durable. */
  stored(message: Message): void {
    if (this.#settle()) this.#resolve(message);
  }

  /** It is not, or that is unknown. */
  failed(error: unknown): void {
    if (this.#settle()) this.#reject(error);
  }

  #settle(): boolean {
    if (this.#settled) return false;
    this.#settled = true;
    this.signal?.removeEventListener("abort", this.#onAbort);
    return true;
  }

  readonly #onAbort = (): void => {
    this.failed(new MsgbusError("CANCELLED", "the call was cancelled"));
  };
}

/** What a message is refused with where so many bytes of others wait. */
export function tooMuchWaits(bytes: number): MsgbusError {
  return new MsgbusError(
    "RESOURCE_EXHAUSTED",
    `Cannot publish: ${bytes} bytes wait for the daemon, limit is ${SDK_LIMITS.maxWaitingPublishBytes}; ` +
      "await earlier messages first",
  );
}
