import type { NodeName, OnceMessage } from "../store/store.ts";
import { MESSAGE_OVERHEAD_BYTES } from "./limits.ts";
import type { Message } from "./message.ts";

/** An accepted message that is not durable yet, and who waits for it. The store takes it as it is. */
export class PendingPublish implements OnceMessage {
  readonly topic: string;
  readonly origin: NodeName;
  readonly id: string;
  readonly createdAtMs: number;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
  /** See BatchMessage. */
  readonly key: string | undefined;
  readonly resolve: (message: Message) => void;
  readonly reject: (error: unknown) => void;

  constructor(
    topic: string,
    origin: NodeName,
    id: string,
    createdAtMs: number,
    payload: Uint8Array,
    headers: Uint8Array,
    key: string | undefined,
    resolve: (message: Message) => void,
    reject: (error: unknown) => void,
  ) {
    this.topic = topic;
    this.origin = origin;
    this.id = id;
    this.createdAtMs = createdAtMs;
    this.payload = payload;
    this.headers = headers;
    this.key = key;
    this.resolve = resolve;
    this.reject = reject;
  }
}

/** What a message counts against the bound on accepted bytes. */
export function pendingBytes(payload: Uint8Array, headers: Uint8Array): number {
  return payload.length + headers.length + MESSAGE_OVERHEAD_BYTES;
}
