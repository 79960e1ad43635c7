import { create, toBinary } from "@bufbuild/protobuf";
import { FramedMessage, MESSAGE_PREFIX_BYTES } from "@msgbus/grpc/server";
import { ConsumeLogSchema } from "@msgbus/proto/stream";
import type { Message } from "../bus/message.ts";
import { putVarint, varintBytes } from "../bus/varint.ts";
import { MessageWriter } from "../store/message_codec.ts";
import { LogMap } from "../store/store.ts";
import { CONSUME_ANSWER_BYTES } from "./limits.ts";

/** Tags of ConsumeResponse: field number × 8 + wire type. */
const LOGS = 0x0a;
const BATCHES = 0x12;
const CURSOR = 0x1a;
const CAUGHT_UP = 0x20;
/** Tags of ConsumeBatch, whose messages MessageWriter writes with theirs. */
const BATCH_LOG = 0x08;
const FIRST_HEAD_ID = 0x18;

/** What of an answer is left to logs and batches: a cursor has two UUIDs and a number. */
const CONTENT_BYTES = CONSUME_ANSWER_BYTES - 256;

const encoder = new TextEncoder();

/** Messages of one log whose heads follow one another. */
interface Run {
  readonly log: number;
  readonly firstHeadId: number;
  /** One behind the other. */
  readonly messages: readonly Uint8Array[];
}

/** A run that was encoded for another consumer already: those that follow live are handed the same messages. */
class EncodedRun {
  readonly #messages: readonly Message[];
  readonly bytes: Uint8Array;

  constructor(messages: readonly Message[], bytes: Uint8Array) {
    this.#messages = messages;
    this.bytes = bytes;
  }

  /** Whether it has these messages of a list and no other. */
  has(messages: readonly Message[], from: number, to: number): boolean {
    return this.#messages.length === to - from &&
      this.#messages.every((message, at) => message === messages[from + at]);
  }
}

/** Runs that are kept encoded: consumers that wait are handed the same ones one after another. */
const KEPT_RUNS = 32;

/** The messages that have them, the oldest of them next. More would grow old, and could be as much as all messages there are. */
const withEncodedRun: (Message | undefined)[] = new Array<Message | undefined>(KEPT_RUNS).fill(undefined);
let oldestRun = 0;

function keepRun(first: Message, run: EncodedRun): void {
  const oldest = withEncodedRun[oldestRun];
  if (oldest !== undefined) oldest.encodedRun = undefined;
  first.encodedRun = run;
  withEncodedRun[oldestRun] = first;
  oldestRun = (oldestRun + 1) % KEPT_RUNS;
}

const writer = new MessageWriter();

/** Encodes the answers of one call of Consume, which names each log once. */
export class ConsumeResponseEncoder {
  readonly #logs = new LogMap<number>();
  #logCount = 0;

  /**
   * Messages in their order, at least one, by one answer or several of at most `CONSUME_ANSWER_BYTES`, each with the
   * cursor behind its last message; the last one says whether nothing is left behind it.
   */
  *encode(
    messages: readonly Message[],
    cursorBehind: (last: Message) => string,
    caughtUp: boolean,
  ): Generator<FramedMessage> {
    let newLogs: Uint8Array[] = [];
    let runs: Run[] = [];
    let size = 0;
    let last: Message | undefined;
    for (let from = 0; from < messages.length;) {
      const first = messages[from];
      if (first === undefined) break;
      const to = endOfRun(messages, from, first);
      const { log, name } = this.#number(first);
      const run = { log, firstHeadId: first.headId, messages: encodeRun(messages, from, to, first) };
      const bytes = fieldBytes(runBytes(run)) + (name === undefined ? 0 : fieldBytes(name.length));
      if (last !== undefined && size + bytes > CONTENT_BYTES) {
        yield assemble(newLogs, runs, encoder.encode(cursorBehind(last)), false);
        [newLogs, runs, size] = [[], [], 0];
      }
      if (name !== undefined) newLogs.push(name);
      runs.push(run);
      size += bytes;
      last = messages[to - 1];
      from = to;
    }
    if (last !== undefined) yield assemble(newLogs, runs, encoder.encode(cursorBehind(last)), caughtUp);
  }

  /** A place without messages. */
  encodePlace(cursor: string, caughtUp: boolean): FramedMessage {
    return assemble([], [], encoder.encode(cursor), caughtUp);
  }

  /** The log's number, and what names it where nothing did before. */
  #number({ topic, origin }: Message): { readonly log: number; readonly name: Uint8Array | undefined } {
    const known = this.#logs.get(topic, origin);
    if (known !== undefined) return { log: known, name: undefined };
    const log = ++this.#logCount;
    this.#logs.set(topic, origin, log);
    const name = create(ConsumeLogSchema, { log: BigInt(log), topic, origin: { ...origin } });
    return { log, name: toBinary(ConsumeLogSchema, name) };
  }
}

function endOfRun(messages: readonly Message[], from: number, first: Message): number {
  const { topic, origin, headId } = first;
  let to = from + 1;
  for (let next = messages[to]; next !== undefined; next = messages[++to]) {
    if (next.headId !== headId + to - from || next.topic !== topic || next.origin !== origin) break;
  }
  return to;
}

function encodeRun(
  messages: readonly Message[],
  from: number,
  to: number,
  first: Message,
): readonly Uint8Array[] {
  return keptRun(messages, from, to, first) ?? [encodedRun(messages, from, to, first)];
}

/** The run as the store has it; undefined where it is not from there, or not in one piece. */
function keptRun(
  messages: readonly Message[],
  from: number,
  to: number,
  first: Message,
): readonly Uint8Array[] | undefined {
  const { kept } = first;
  if (kept === undefined) return undefined;
  const { bytes, named } = kept;
  let end = kept.to;
  for (let at = from + 1; at < to; at++) {
    const next = messages[at]?.kept;
    if (next === undefined || next.bytes !== bytes || next.from !== end) return undefined;
    end = next.to;
  }
  if (named) return [bytes.subarray(kept.from, end)];
  writer.clear();
  writer.add(first.id, first.createdAtMs, first.payload, first.headers, first.deleted);
  return [writer.written.slice(), bytes.subarray(kept.to, end)];
}

function encodedRun(messages: readonly Message[], from: number, to: number, first: Message): Uint8Array {
  const known = first.encodedRun;
  if (known instanceof EncodedRun && known.has(messages, from, to)) return known.bytes;
  writer.clear();
  for (let at = from; at < to; at++) {
    const message = messages[at];
    if (message === undefined) break;
    const { id, createdAtMs, payload, headers, deleted } = message;
    writer.add(id, createdAtMs, payload, headers, deleted);
  }
  const bytes = writer.written.slice();
  keepRun(first, new EncodedRun(messages.slice(from, to), bytes));
  return bytes;
}

function assemble(
  logs: readonly Uint8Array[],
  runs: readonly Run[],
  cursor: Uint8Array,
  caughtUp: boolean,
): FramedMessage {
  let size = (cursor.length === 0 ? 0 : fieldBytes(cursor.length)) + (caughtUp ? 2 : 0);
  for (const { length } of logs) size += fieldBytes(length);
  for (const run of runs) size += fieldBytes(runBytes(run));
  const bytes = new Uint8Array(MESSAGE_PREFIX_BYTES + size);
  let at = MESSAGE_PREFIX_BYTES;
  for (const log of logs) at = putField(bytes, at, LOGS, log);
  for (const run of runs) {
    bytes[at++] = BATCHES;
    at = putVarint(bytes, at, runBytes(run));
    bytes[at++] = BATCH_LOG;
    at = putVarint(bytes, at, run.log);
    for (const part of run.messages) {
      bytes.set(part, at);
      at += part.length;
    }
    bytes[at++] = FIRST_HEAD_ID;
    at = putVarint(bytes, at, run.firstHeadId);
  }
  if (cursor.length > 0) at = putField(bytes, at, CURSOR, cursor);
  if (caughtUp) {
    bytes[at++] = CAUGHT_UP;
    bytes[at++] = 1;
  }
  return FramedMessage.inPlace(bytes);
}

function runBytes({ log, firstHeadId, messages }: Run): number {
  let bytes = 1 + varintBytes(log) + 1 + varintBytes(firstHeadId);
  for (const { length } of messages) bytes += length;
  return bytes;
}

function fieldBytes(length: number): number {
  return 1 + varintBytes(length) + length;
}

function putField(bytes: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  bytes[at++] = tag;
  at = putVarint(bytes, at, value.length);
  bytes.set(value, at);
  return at + value.length;
}
