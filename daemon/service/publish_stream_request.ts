import type { BatchMessage } from "../bus/requests.ts";
import { joinEntries, readHeaderEntry } from "./publish_request.ts";
import { WireReader } from "./wire_reader.ts";

const EMPTY = new Uint8Array(0);
/** Tags of PublishStreamRequest: field number × 8 + wire type. */
const PRODUCER = 0x0a;
const FIRST_SEQUENCE = 0x10;
const MESSAGES = 0x1a;
/** Tags of Producer. */
const PRODUCER_ID = 0x0a;
const EPOCH = 0x10;
/** Tags of StreamedPublish. */
const TOPIC = 0x0a;
const PAYLOAD = 0x1a;
const HEADERS = 0x22;
const IDEMPOTENCY_KEY = 0x2a;

/** Who publishes a stream. */
export interface RequestProducer {
  readonly id: string;
  /** 0 asks for a new one. */
  readonly epoch: number;
}

/** A request of PublishStream. */
export interface PublishStreamRequest {
  readonly producer: RequestProducer | undefined;
  /** 0 where it says none. */
  readonly firstSequence: number;
  readonly messages: readonly BatchMessage[];
}

/** The topic that was read last: most messages have that of the one before. */
interface LastTopic {
  bytes: Uint8Array;
  text: string;
}

/**
 * Reads requests of PublishStream from their wire bytes. By hand, because every message passes here;
 * `publish_stream_request_test.ts` holds it against the generated code.
 */
export class PublishStreamRequestReader {
  readonly #last: LastTopic = { bytes: EMPTY, text: "" };

  /** Payloads are views of the bytes. Throws StatusError INVALID_ARGUMENT. */
  read(bytes: Uint8Array): PublishStreamRequest {
    const reader = new WireReader(bytes);
    let producer: RequestProducer | undefined;
    let firstSequence = 0;
    const messages: BatchMessage[] = [];
    const message = new WireReader(EMPTY); // not kept: a call that waits for its next request would hold this one
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      switch (tag) {
        case PRODUCER:
          producer = readProducer(reader.bytes(), producer);
          break;
        case FIRST_SEQUENCE:
          firstSequence = reader.number();
          break;
        case MESSAGES:
          messages.push(this.#readMessage(message, reader));
          break;
        default:
          reader.skipUnknown(tag, 3);
      }
    }
    return { producer, firstSequence, messages };
  }

  /** Reads the next field of `from`, by way of `reader`. */
  #readMessage(reader: WireReader, from: WireReader): BatchMessage {
    reader.enter(from);
    let topic = "";
    let payload: Uint8Array = EMPTY;
    let entries: Uint8Array[] | undefined;
    let key = "";
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
      switch (tag) {
        case TOPIC:
          topic = this.#topic(reader);
          break;
        case PAYLOAD:
          payload = reader.bytes();
          break;
        case HEADERS:
          (entries ??= []).push(readHeaderEntry(reader.bytes()));
          break;
        case IDEMPOTENCY_KEY:
          key = reader.string();
          break;
        default:
          // 2 is the origin of PublishRequest, which a stream has none of.
          reader.skipUnknown(tag, tag >>> 3 === 2 ? 0 : 5);
      }
    }
    return {
      topic,
      payload,
      headers: entries === undefined ? EMPTY : joinEntries(entries),
      key: key === "" ? undefined : key,
    };
  }

  #topic(reader: WireReader): string {
    const last = this.#last;
    const same = reader.skipIfBytes(last.bytes);
    if (same) return last.text;
    const bytes = reader.bytes();
    last.text = reader.text(bytes);
    last.bytes = bytes.slice();
    return last.text;
  }
}

/** A Producer; where the field stands twice, the later parts win (protobuf.dev, Last One Wins). */
function readProducer(bytes: Uint8Array, before: RequestProducer | undefined): RequestProducer {
  const reader = new WireReader(bytes);
  let { id, epoch } = before ?? { id: "", epoch: 0 };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === PRODUCER_ID) id = reader.string();
    else if (tag === EPOCH) epoch = reader.number();
    else reader.skipUnknown(tag, 2);
  }
  return { id, epoch };
}
