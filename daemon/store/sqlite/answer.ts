import { StoreError, type StoreErrorCode } from "../error.ts";
import type {
  Appended,
  ArchivedLog,
  Deletion,
  FifoMessage,
  LogHead,
  PeerCursor,
  PeerSyncState,
  Replicated,
  StoredMessage,
} from "../store.ts";
import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";
import type { FifoRow } from "./fifo_tables.ts";
import type { ArchivedTail } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { readId, readStoredIdText, type StoredId, timeOfUuid, writeStoredId } from "./message_id.ts";
import type { MessagePage } from "./message_pages.ts";
import { readNode, writeNode } from "./node_encoding.ts";
import { readPeerCursor, readPeerSyncState, writePeerCursor, writePeerSyncState } from "./peer_encoding.ts";
import type { ReplicatedRows } from "./replication.ts";

/** Writes what a call settles with; the function beside it reads that. */
export type AnswerBody = (to: ByteWriter) => void;

/** Reads what an AnswerBody wrote. */
export type AnswerReader<T> = (from: ByteReader) => T;

/** What the store thread did since it was opened. */
export interface StoreStats {
  /** Transactions that became durable. */
  readonly commits: number;
  /** Write calls that they held. */
  readonly calls: number;
}

const OK = 0;
const FAILED = 1;

// Flags of a message in a page.
const IS_UUID = 1;
const IS_DELETED = 2;

const NO_BYTES = new Uint8Array();

const CODES: readonly StoreErrorCode[] = [
  "not_writable",
  "not_a_database",
  "newer_schema",
  "locked",
  "too_old_sqlite",
  "full",
  "broken",
  "closed",
  "conflict",
  "gap",
];

export function writeAnswer(to: ByteWriter, call: number, body: AnswerBody): void {
  to.beginFrame();
  to.u8(OK);
  to.u32(call);
  body(to);
  to.endFrame();
}

export function writeFailure(to: ByteWriter, call: number, error: StoreError): void {
  to.beginFrame();
  to.u8(FAILED);
  to.u32(call);
  to.u8(CODES.indexOf(error.code));
  to.text(error.message);
  to.endFrame();
}

/** The call that is answered, and the error if it failed; the body follows otherwise. */
export function readAnswer(from: ByteReader): { call: number; error: StoreError | undefined } {
  const status = from.u8();
  const call = from.u32();
  if (status === OK) return { call, error: undefined };
  const code = CODES[from.u8()] ?? "broken";
  return { call, error: new StoreError(code, from.text()) };
}

export const nothing: AnswerBody = () => {};

export function readNothing(): void {}

export function appended(results: readonly Appended[]): AnswerBody {
  return (to) => {
    to.u32(results.length);
    for (const { headId, sequence } of results) {
      to.f64(headId);
      to.f64(sequence);
    }
  };
}

export function readAppended(from: ByteReader): Appended[] {
  return readMany(from, () => ({ headId: from.f64(), sequence: from.f64() }));
}

/** `erased` is asked when the answer is written: only after its commit it is known. */
export function deletion(deletedCount: number, marker: Appended, erased: () => boolean): AnswerBody {
  return (to) => {
    to.f64(deletedCount);
    to.f64(marker.headId);
    to.f64(marker.sequence);
    to.u8(erased() ? 1 : 0);
  };
}

export function readDeletion(from: ByteReader): Deletion {
  return {
    deletedCount: from.f64(),
    marker: { headId: from.f64(), sequence: from.f64() },
    erased: from.u8() === 1,
  };
}

/** `erased` is asked when the answer is written, and only if there was something to erase. */
export function replicated(rows: ReplicatedRows, erased: () => boolean): AnswerBody {
  return (to) => {
    to.f64(rows.headId);
    to.u32(rows.appended);
    to.f64(rows.firstSequence);
    for (const numbers of [rows.deletedHeads, rows.newlyDeletedHeads, rows.enqueued]) {
      to.u32(numbers.length);
      for (const number of numbers) to.f64(number);
    }
    to.u8(!rows.erases || erased() ? 1 : 0);
  };
}

export function readReplicated(from: ByteReader): Replicated {
  const readNumber = () => from.f64();
  return {
    headId: from.f64(),
    appended: from.u32(),
    firstSequence: from.f64(),
    deletedHeads: readMany(from, readNumber),
    newlyDeletedHeads: readMany(from, readNumber),
    enqueued: readMany(from, readNumber),
    erased: from.u8() === 1,
  };
}

export function text(value: string): AnswerBody {
  return (to) => to.text(value);
}

export function readText(from: ByteReader): string {
  return from.text();
}

export function optionalId(id: StoredId | undefined): AnswerBody {
  return (to) => {
    to.u8(id === undefined ? 0 : 1);
    if (id !== undefined) writeStoredId(to, id);
  };
}

export function readOptionalId(from: ByteReader): string | undefined {
  return from.u8() === 0 ? undefined : readId(from);
}

export function page(parts: readonly MessagePage[]): AnswerBody {
  return (to) => {
    to.u32(parts.reduce((count, { rows }) => count + rows.length, 0));
    for (const { rows, content } of parts) {
      let at = 0;
      for (const [head, sequence, createdAtMs, isUuid, idBytes, payloadBytes, headerBytes] of rows) {
        to.f64(head);
        to.f64(sequence);
        to.f64(createdAtMs ?? timeOfUuid(content, at));
        to.u8((isUuid === 1 ? IS_UUID : 0) | (payloadBytes === null ? IS_DELETED : 0));
        to.u32(idBytes);
        to.u32(payloadBytes ?? 0);
        to.u32(headerBytes ?? 0);
        at += idBytes + (payloadBytes ?? 0) + (headerBytes ?? 0);
      }
    }
    for (const { content } of parts) to.raw(content);
  };
}

/** Bytes of a message before the bytes of all of them. */
const ROW_BYTES = 3 * 8 + 1 + 3 * 4;

export function readPage(from: ByteReader): StoredMessage[] {
  const count = from.u32();
  const content = from.fork(count * ROW_BYTES);
  const page: StoredMessage[] = [];
  for (let left = count; left > 0; left--) {
    const headId = from.f64();
    const sequence = from.f64();
    const createdAtMs = from.f64();
    const flags = from.u8();
    const idBytes = from.u32();
    const payloadBytes = from.u32();
    const headerBytes = from.u32();
    page.push({
      headId,
      sequence,
      id: readStoredIdText(content, (flags & IS_UUID) !== 0, idBytes),
      createdAtMs,
      payload: content.raw(payloadBytes),
      headers: headerBytes === 0 ? NO_BYTES : content.raw(headerBytes),
      deleted: (flags & IS_DELETED) !== 0,
    });
  }
  return page;
}

export function heads(tails: Iterable<LogTail>): AnswerBody {
  const all = [...tails];
  return (to) => {
    to.u32(all.length);
    for (const { topic, origin, head, incarnation, sequence } of all) {
      to.text(topic);
      writeNode(to, origin);
      to.f64(head);
      to.text(incarnation);
      to.f64(sequence);
    }
  };
}

export function readHeads(from: ByteReader): LogHead[] {
  return readMany(from, () => ({
    topic: from.text(),
    origin: readNode(from),
    headId: from.f64(),
    incarnation: from.text(),
    sequence: from.f64(),
  }));
}

export function archivedLogs(archived: Iterable<ArchivedTail>): AnswerBody {
  const all = [...archived];
  return (to) => {
    to.u32(all.length);
    for (const { name, log } of all) {
      to.text(log.topic);
      writeNode(to, log.origin);
      to.text(name);
      to.f64(log.head);
    }
  };
}

export function readArchivedLogs(from: ByteReader): ArchivedLog[] {
  return readMany(from, () => ({
    topic: from.text(),
    origin: readNode(from),
    name: from.text(),
    headId: from.f64(),
  }));
}

export function sequence(value: number): AnswerBody {
  return (to) => to.f64(value);
}

export function readSequence(from: ByteReader): number {
  return from.f64();
}

export function accepted(value: boolean): AnswerBody {
  return (to) => to.u8(value ? 1 : 0);
}

export function readAccepted(from: ByteReader): boolean {
  return from.u8() === 1;
}

export function front(row: FifoRow | undefined): AnswerBody {
  return (to) => {
    to.u8(row === undefined ? 0 : 1);
    if (row === undefined) return;
    to.text(row.queue);
    writeStoredId(to, row.id);
    to.text(row.topic);
    writeNode(to, row.source);
    writeNode(to, row.target);
    to.bytes(row.payload);
    to.bytes(row.headers);
    to.f64(row.createdAtMs);
    to.f64(row.sequence);
    to.f64(row.attempts);
  };
}

export function readFront(from: ByteReader): FifoMessage | undefined {
  if (from.u8() === 0) return undefined;
  return {
    queue: from.text(),
    id: readId(from),
    topic: from.text(),
    source: readNode(from),
    target: readNode(from),
    payload: from.bytes(),
    headers: from.bytes(),
    createdAtMs: from.f64(),
    sequence: from.f64(),
    attempts: from.f64(),
  };
}

export function peerSyncStates(states: readonly PeerSyncState[]): AnswerBody {
  return (to) => {
    to.u32(states.length);
    for (const state of states) writePeerSyncState(to, state);
  };
}

export function readPeerSyncStates(from: ByteReader): PeerSyncState[] {
  return readMany(from, () => readPeerSyncState(from));
}

export function peerCursor(cursor: PeerCursor | undefined): AnswerBody {
  return (to) => writePeerCursor(to, cursor);
}

export { readPeerCursor };

export function stats(value: StoreStats): AnswerBody {
  return (to) => {
    to.f64(value.commits);
    to.f64(value.calls);
  };
}

export function readStats(from: ByteReader): StoreStats {
  return { commits: from.f64(), calls: from.f64() };
}

function readMany<T>(from: ByteReader, readOne: () => T): T[] {
  const many: T[] = [];
  for (let left = from.u32(); left > 0; left--) many.push(readOne());
  return many;
}
