import type { FifoMessage as WireFifoMessage } from "@msgbus/proto";
import { MsgbusError } from "./error.ts";
import { numberFromWire } from "./head_number.ts";
import { type NodeId, nodeIdOf } from "./node_id.ts";

// Text comes out as it went in: with a byte order mark, where there was one.
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** What a {@linkcode FifoMessage} is made of. */
export type FifoMessageFields = Omit<FifoMessage, "createdAt" | "text" | "json">;

/** One message of a FIFO queue. */
export class FifoMessage {
  /** Its identity, a UUID given by the daemon: what {@linkcode FifoQueue.ack} and {@linkcode FifoQueue.reject} take. */
  readonly id: string;
  /** The queue it stands in. */
  readonly queue: string;
  /** What it is about; the queue's name where the sender did not say. */
  readonly topic: string;
  /** The daemon it comes from. */
  readonly source: NodeId;
  /** The daemon it is for. */
  readonly target: NodeId;
  /** Its payload. */
  readonly payload: Uint8Array;
  /** Its headers. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds since the Unix epoch when it was enqueued, by the daemon's clock. */
  readonly createdAtMs: number;
  /** 1, 2, 3 … per queue. */
  readonly sequence: number;
  /** How often it was rejected. */
  readonly attempts: number;

  /** Made by the client. */
  constructor(fields: FifoMessageFields) {
    this.id = fields.id;
    this.queue = fields.queue;
    this.topic = fields.topic;
    this.source = fields.source;
    this.target = fields.target;
    this.payload = fields.payload;
    this.headers = fields.headers;
    this.createdAtMs = fields.createdAtMs;
    this.sequence = fields.sequence;
    this.attempts = fields.attempts;
  }

  /** When it was enqueued, by the daemon's clock. */
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

/** The message of an answer. Throws MsgbusError INTERNAL where there is none. */
export function fifoMessageOf(wire: WireFifoMessage | undefined): FifoMessage {
  if (wire === undefined) {
    throw new MsgbusError("INTERNAL", "Cannot read the daemon's answer: it holds no message");
  }
  const { id, queue, topic, payload, headers, attempts } = wire;
  return new FifoMessage({
    id,
    queue,
    topic,
    source: nodeIdOf(wire.source),
    target: nodeIdOf(wire.target),
    payload,
    headers,
    createdAtMs: numberFromWire(wire.createdAtMs),
    sequence: numberFromWire(wire.sequence),
    attempts,
  });
}
