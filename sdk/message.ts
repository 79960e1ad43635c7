import type { NodeId } from "./node_id.ts";
import { formatUuid } from "./uuid.ts";

// Text comes out as it went in: with a byte order mark, where there was one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** One stored message of a topic. */
export class Message {
  /** The topic it was published to. */
  readonly topic: string;
  /** The daemon it was published at. */
  readonly origin: NodeId;
  /** Its place in the log of topic and origin: 1, 2, 3 … without gaps. */
  readonly headId: number;
  /** Milliseconds since the Unix epoch, by the origin's clock. */
  readonly createdAtMs: number;
  /** Whether it was deleted: it keeps its place, but has neither payload nor headers. */
  readonly deleted: boolean;
  /** Its headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly #wire: Uint8Array;
  readonly #idFrom: number;
  readonly #idTo: number;
  readonly #payloadFrom: number;
  readonly #payloadTo: number;
  readonly #uuid: Uint8Array | undefined;
  readonly #plus: number;

  /** Made by the client, over bytes that never change. */
  constructor(
    wire: Uint8Array,
    idFrom: number,
    idTo: number,
    payloadFrom: number,
    payloadTo: number,
    topic: string,
    origin: NodeId,
    headId: number,
    createdAtMs: number,
    deleted: boolean,
    headers: Readonly<Record<string, string>>,
    uuid?: Uint8Array,
    plus = 0,
  ) {
    this.#wire = wire;
    this.#idFrom = idFrom;
    this.#idTo = idTo;
    this.#payloadFrom = payloadFrom;
    this.#payloadTo = payloadTo;
    this.topic = topic;
    this.origin = origin;
    this.headId = headId;
    this.createdAtMs = createdAtMs;
    this.deleted = deleted;
    this.headers = headers;
    this.#uuid = uuid;
    this.#plus = plus;
  }

  /** Its identity, a UUID given by the origin. */
  get id(): string {
    return this.#uuid === undefined
      ? decoder.decode(this.#wire.subarray(this.#idFrom, this.#idTo))
      : formatUuid(this.#uuid, 0, this.#plus);
  }

  /**
   * Its payload. A view on what was received, not to be changed: whoever keeps a small payload for long takes a copy
   * (`payload.slice()`), so that its neighbours can go.
   */
  get payload(): Uint8Array {
    return this.#wire.subarray(this.#payloadFrom, this.#payloadTo);
  }

  /** When it was published, by the origin's clock. */
  get createdAt(): Date {
    return new Date(this.createdAtMs);
  }

  /** Its payload as text; what is not UTF-8 becomes U+FFFD. */
  text(): string {
    return decoder.decode(this.payload);
  }

  /** Its payload as JSON. The type is the caller's word: nothing checks it. Throws SyntaxError where it is not JSON. */
  json<T = unknown>(): T {
    return JSON.parse(this.text());
  }
}
