import { StoreError, type StoreErrorCode } from "../error.ts";
import type {
  Appended,
  ArchivedLog,
  Deletion,
  Extent,
  FifoMessage,
  LogHead,
  LogName,
  OnceOutcome,
  OnceRefusal,
  Opening,
  PeerCursor,
  PeerSyncState,
  ProducerPlace,
  Replicated,
  SequencePage,
  StoredMessage,
} from "../store.ts";
import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";
import type { FifoRow } from "./fifo_tables.ts";
import type { ArchivedTail } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { readId, writeId, writeStoredId } from "./message_id.ts";
import { readNode, writeNode } from "./node_encoding.ts";
import type { Page } from "./page.ts";
import { readPeerCursor, readPeerSyncState, writePeerCursor, writePeerSyncState } from "./peer_encoding.ts";
import type { ReplicatedRows } from "./replication.ts";
import { readSequencedMessages, readStoredMessages } from "./stored_entry.ts";

/** Writes what a call settles with; the function beside it reads that. */
export type AnswerBody = (to: ByteWriter) => void;

/** Reads what an AnswerBody wrote. */
export type AnswerReader<T> = (from: ByteReader) => T;

/** What the store thread says of a database that it has opened. */
export interface OpenedStore {
  readonly incarnation: string;
  readonly opening: Opening;
}

/** What the store thread did since it was opened. */
export interface StoreStats {
  /** Transactions that became durable. */
  readonly commits: number;
  /** Write calls that they held. */
  readonly calls: number;
}

const OK = 0;
const FAILED = 1;

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
  "stale_epoch",
];

const OUTCOMES: readonly OnceOutcome["kind"][] = ["appended", "duplicate", "refused"];
const REASONS: readonly OnceRefusal["reason"][] = ["key_conflict", "sequence_conflict", "forgotten"];

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

/** Appended messages of one log whose heads and sequences follow one another: the first one, and how many. */
export interface PlainRun extends Appended {
  count: number;
}

export function appended(runs: readonly PlainRun[]): AnswerBody {
  return (to) => {
    to.u32(runs.length);
    for (const { headId, sequence, count } of runs) {
      to.f64(headId);
      to.f64(sequence);
      to.u32(count);
    }
  };
}

export function readAppended(from: ByteReader): Appended[] {
  const appended: Appended[] = [];
  for (let left = from.u32(); left > 0; left--) {
    const [headId, sequence, count] = [from.f64(), from.f64(), from.u32()];
    for (let at = 0; at < count; at++) appended.push({ headId: headId + at, sequence: sequence + at });
  }
  return appended;
}

export function outcomes(outcomes: readonly OnceOutcome[]): AnswerBody {
  return (to) => {
    to.u32(outcomes.length);
    for (const outcome of outcomes) {
      to.u8(OUTCOMES.indexOf(outcome.kind));
      to.u32(outcome.at);
      if (outcome.kind === "refused") {
        to.u8(REASONS.indexOf(outcome.reason));
        continue;
      }
      to.f64(outcome.headId);
      to.f64(outcome.sequence);
      if (outcome.kind === "appended") to.u32(outcome.count);
      else {
        writeId(to, outcome.id);
        to.f64(outcome.createdAtMs);
        to.u8(outcome.deleted ? 1 : 0);
      }
    }
  };
}

export function readOutcomes(from: ByteReader): OnceOutcome[] {
  return readMany(from, () => {
    const kind = OUTCOMES[from.u8()];
    const at = from.u32();
    if (kind === "refused") return { kind, at, reason: REASONS[from.u8()] ?? "forgotten" };
    const place = { at, headId: from.f64(), sequence: from.f64() };
    if (kind === "appended") return { kind, ...place, count: from.u32() };
    return {
      kind: "duplicate",
      ...place,
      id: readId(from),
      createdAtMs: from.f64(),
      deleted: from.u8() === 1,
    };
  });
}

export function producerPlace({ epoch, lastSequence }: ProducerPlace): AnswerBody {
  return (to) => {
    to.f64(epoch);
    to.f64(lastSequence);
  };
}

export function readProducerPlace(from: ByteReader): ProducerPlace {
  return { epoch: from.f64(), lastSequence: from.f64() };
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

export function erasure(erased: () => boolean): AnswerBody {
  return (to) => to.u8(erased() ? 1 : 0);
}

export function readErasure(from: ByteReader): boolean {
  return from.u8() === 1;
}

export function extent({ to: last, bytes }: Extent): AnswerBody {
  return (to) => {
    to.f64(last);
    to.f64(bytes);
  };
}

export function readExtent(from: ByteReader): Extent {
  return { to: from.f64(), bytes: from.f64() };
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

export function opened({ incarnation, opening }: OpenedStore): AnswerBody {
  return (to) => {
    to.text(incarnation);
    to.text(opening.id);
    to.f64(opening.after);
    to.text(opening.before);
  };
}

export function readOpened(from: ByteReader): OpenedStore {
  return { incarnation: from.text(), opening: { id: from.text(), after: from.f64(), before: from.text() } };
}

export function optionalSequence(value: number | undefined): AnswerBody {
  return (to) => {
    to.u8(value === undefined ? 0 : 1);
    if (value !== undefined) to.f64(value);
  };
}

export function readOptionalSequence(from: ByteReader): number | undefined {
  return from.u8() === 0 ? undefined : from.f64();
}

/** `page` is undefined for a log that is unknown. */
export function page(page: Page | undefined): AnswerBody {
  return (to) => {
    const parts = page?.parts ?? [];
    to.u32(parts.length);
    for (const { firstHead, firstSequence, count } of parts) {
      to.f64(firstHead);
      to.f64(firstSequence);
      to.u32(count);
    }
    for (const slice of page?.slices ?? []) to.raw(slice);
  };
}

export function readPage(from: ByteReader): StoredMessage[] {
  const parts = readMany(from, () => ({
    firstHead: from.f64(),
    firstSequence: from.f64(),
    count: from.u32(),
  }));
  return readStoredMessages(parts, from.raw(from.left));
}

/** `newLogs` are those of the page that no page named before; the others are known by their numbers. */
export function sequencePage(page: Page, next: number, newLogs: readonly LogTail[]): AnswerBody {
  return (to) => {
    to.f64(next);
    to.u32(newLogs.length);
    for (const { number, topic, origin } of newLogs) {
      to.f64(number);
      to.text(topic);
      writeNode(to, origin);
    }
    to.u32(page.parts.length);
    for (const { log, firstHead, firstSequence, count } of page.parts) {
      to.f64(log);
      to.f64(firstHead);
      to.f64(firstSequence);
      to.u32(count);
    }
    for (const slice of page.slices) to.raw(slice);
  };
}

/** `logs` has the logs named so far by their numbers, and takes on those of this page. */
export function readSequencePage(from: ByteReader, logs: Map<number, LogName>): SequencePage {
  const next = from.f64();
  for (let left = from.u32(); left > 0; left--) {
    logs.set(from.f64(), { topic: from.text(), origin: readNode(from) });
  }
  const parts = readMany(from, () => ({
    log: requireLog(logs.get(from.f64())),
    firstHead: from.f64(),
    firstSequence: from.f64(),
    count: from.u32(),
  }));
  return { messages: readSequencedMessages(parts, from.raw(from.left)), next };
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

function requireLog(log: LogName | undefined): LogName {
  if (log === undefined) throw new Error("Cannot read a page: one of its logs was never named");
  return log;
}

function readMany<T>(from: ByteReader, readOne: () => T): T[] {
  const many: T[] = [];
  for (let left = from.u32(); left > 0; left--) many.push(readOne());
  return many;
}
