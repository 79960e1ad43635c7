import { idLength, MessageReader, putId, readId } from "../message_codec.ts";
import type { KeptBytes, LogName, NodeName, SequencedMessage, StoredMessage } from "../store.ts";

/** Messages of a page whose heads and sequences follow one another. */
export interface EntryPart {
  readonly firstHead: number;
  readonly firstSequence: number;
  readonly count: number;
}

/** A message of a page. Its id is made when it is asked for: that costs more than all the rest. */
class StoredEntry implements StoredMessage, KeptBytes {
  readonly headId: number;
  readonly sequence: number;
  readonly createdAtMs: number;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
  readonly deleted: boolean;
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  readonly named: boolean;
  readonly #idAt: number;
  readonly #idCount: number;
  #id: string | undefined;

  constructor(headId: number, sequence: number, bytes: Uint8Array, message: MessageReader) {
    this.headId = headId;
    this.sequence = sequence;
    this.createdAtMs = message.createdAtMs;
    this.payload = message.payload;
    this.headers = message.headers;
    this.deleted = message.deleted;
    this.bytes = bytes;
    this.from = message.start;
    this.to = message.end;
    this.named = message.isNamed;
    this.#idAt = message.idAt;
    this.#idCount = message.idCount;
  }

  /** Itself: an object less for each message. */
  get kept(): KeptBytes {
    return this;
  }

  get idLength(): number {
    return idLength(this.#idCount);
  }

  putId(into: Uint8Array, at: number): void {
    putId(this.bytes, this.#idAt, this.#idCount, into, at);
  }

  get id(): string {
    return this.#id ??= readId(this.bytes, this.#idAt, this.#idCount);
  }
}

/** The same with its log. */
class SequencedEntry extends StoredEntry implements SequencedMessage {
  readonly topic: string;
  readonly origin: NodeName;

  constructor(
    { topic, origin }: LogName,
    headId: number,
    sequence: number,
    bytes: Uint8Array,
    message: MessageReader,
  ) {
    super(headId, sequence, bytes, message);
    this.topic = topic;
    this.origin = origin;
  }
}

/** The messages of parts, which lie in `bytes` one after the other. Throws DamagedMessagesError. */
export function readStoredMessages(parts: readonly EntryPart[], bytes: Uint8Array): StoredMessage[] {
  const message = new MessageReader(bytes);
  const messages: StoredMessage[] = [];
  for (const { firstHead, firstSequence, count } of parts) {
    for (let at = 0; at < count && message.next(); at++) {
      messages.push(new StoredEntry(firstHead + at, firstSequence + at, bytes, message));
    }
  }
  return messages;
}

/** The same, of several logs. */
export function readSequencedMessages(
  parts: readonly (EntryPart & { readonly log: LogName })[],
  bytes: Uint8Array,
): SequencedMessage[] {
  const message = new MessageReader(bytes);
  const messages: SequencedMessage[] = [];
  for (const { log, firstHead, firstSequence, count } of parts) {
    for (let at = 0; at < count && message.next(); at++) {
      messages.push(new SequencedEntry(log, firstHead + at, firstSequence + at, bytes, message));
    }
  }
  return messages;
}
