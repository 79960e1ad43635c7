import type { NodeName } from "../store/store.ts";

/** A committed message. One object serves every reader, so nothing in it may be changed. */
export class Message {
  readonly topic: string;
  readonly origin: NodeName;
  /** 1, 2, 3 … within topic and origin. */
  readonly headId: number;
  /** 1, 2, 3 … over all logs of this node. */
  readonly sequence: number;
  /** A UUID for messages published here. */
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** Empty when deleted. */
  readonly payload: Uint8Array;
  /** Encoded as in `headers.ts`; empty when deleted or none. */
  readonly headers: Uint8Array;
  readonly deleted: boolean;
  /**
   * A slot for the wire adapter: it puts the encoded message here once, and finds it for every further subscriber.
   * The bus neither reads nor writes it.
   */
  encoded: unknown = undefined;

  constructor(
    topic: string,
    origin: NodeName,
    headId: number,
    sequence: number,
    id: string,
    createdAtMs: number,
    payload: Uint8Array,
    headers: Uint8Array,
    deleted: boolean,
  ) {
    this.topic = topic;
    this.origin = origin;
    this.headId = headId;
    this.sequence = sequence;
    this.id = id;
    this.createdAtMs = createdAtMs;
    this.payload = payload;
    this.headers = headers;
    this.deleted = deleted;
  }
}
