import type { KeptBytes, NodeName, StoredMessage } from "../store/store.ts";

/** What knows a message's id, and makes it when it is asked for. */
export type MessageSource = Pick<StoredMessage, "id" | "kept">;

const NO_BYTES = new Uint8Array();

/** A committed message. One object serves every reader, so nothing in it may be changed. */
export class Message {
  readonly topic: string;
  readonly origin: NodeName;
  /** 1, 2, 3 … within topic and origin. */
  readonly headId: number;
  /** 1, 2, 3 … over all logs of this node. */
  readonly sequence: number;
  /** Milliseconds since the Unix epoch. */
  readonly createdAtMs: number;
  /** Empty when deleted. */
  readonly payload: Uint8Array;
  /** Encoded as in `headers.ts`; empty when deleted or none. */
  readonly headers: Uint8Array;
  readonly deleted: boolean;
  readonly #source: string | MessageSource;
  /**
   * A slot for the wire adapter: it puts the encoded message here once, and finds it for every further subscriber.
   * The bus neither reads nor writes it.
   */
  encoded: unknown = undefined;
  /**
   * The same of the messages that follow one another from this one on. A WeakMap in place of these slots would keep each
   * message until the collector goes through everything.
   */
  encodedRun: unknown = undefined;

  /** `id` is the text, or has it and makes it when it is asked for: that costs more than all the rest. */
  constructor(
    topic: string,
    origin: NodeName,
    headId: number,
    sequence: number,
    id: string | MessageSource,
    createdAtMs: number,
    payload: Uint8Array,
    headers: Uint8Array,
    deleted: boolean,
  ) {
    this.topic = topic;
    this.origin = origin;
    this.headId = headId;
    this.sequence = sequence;
    this.#source = id;
    this.createdAtMs = createdAtMs;
    this.payload = payload;
    this.headers = headers;
    this.deleted = deleted;
  }

  /** The message of a log as it was read from the store. */
  static stored(topic: string, origin: NodeName, stored: StoredMessage): Message {
    const { headId, sequence, createdAtMs, payload, headers, deleted } = stored;
    return new Message(topic, origin, headId, sequence, stored, createdAtMs, payload, headers, deleted);
  }

  /** The same message without payload and headers, after it was deleted. */
  erased(): Message {
    const { topic, origin, headId, sequence, id, createdAtMs } = this;
    return new Message(topic, origin, headId, sequence, id, createdAtMs, NO_BYTES, NO_BYTES, true);
  }

  /** A UUID for messages published here. */
  get id(): string {
    return typeof this.#source === "string" ? this.#source : this.#source.id;
  }

  /** Characters of {@link id}, which are ASCII. */
  get idLength(): number {
    return typeof this.#source === "string"
      ? this.#source.length
      : this.#source.kept?.idLength ?? this.id.length;
  }

  /** Writes {@link id}; returns where it ends. Of what was read from the store no text is made for that. */
  putId(bytes: Uint8Array, at: number): number {
    const { kept } = this;
    if (kept !== undefined) {
      kept.putId(bytes, at);
      return at + kept.idLength;
    }
    const { id } = this;
    for (let i = 0; i < id.length; i++) bytes[at + i] = id.charCodeAt(i);
    return at + id.length;
  }

  /** Its bytes as the store has them, where it was read from there. */
  get kept(): KeptBytes | undefined {
    return typeof this.#source === "string" ? undefined : this.#source.kept;
  }
}
