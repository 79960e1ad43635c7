import type { Fork, PeerCursor, PeerSyncState } from "../store.ts";
import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";
import { readNode, writeNode } from "./node_encoding.ts";

const FORKS: readonly Fork[] = ["none", "open", "refused"];

export function writePeerSyncState(to: ByteWriter, state: PeerSyncState): void {
  to.text(state.peer);
  to.text(state.topic);
  writeNode(to, state.origin);
  to.f64(state.localHead);
  to.f64(state.remoteHead);
  to.f64(state.lastSyncedHead);
  to.f64(state.lastAttemptAtMs);
  to.f64(state.lastSuccessAtMs);
  to.f64(state.consecutiveFailures);
  to.text(state.lastError);
  to.text(state.localIncarnation);
  to.text(state.remoteIncarnation);
  to.u8(FORKS.indexOf(state.fork));
}

export function readPeerSyncState(from: ByteReader): PeerSyncState {
  return {
    peer: from.text(),
    topic: from.text(),
    origin: readNode(from),
    localHead: from.f64(),
    remoteHead: from.f64(),
    lastSyncedHead: from.f64(),
    lastAttemptAtMs: from.f64(),
    lastSuccessAtMs: from.f64(),
    consecutiveFailures: from.f64(),
    lastError: from.text(),
    localIncarnation: from.text(),
    remoteIncarnation: from.text(),
    fork: FORKS[from.u8()] ?? "none",
  };
}

export function writePeerCursor(to: ByteWriter, cursor: PeerCursor | undefined): void {
  to.u8(cursor === undefined ? 0 : 1);
  if (cursor === undefined) return;
  to.text(cursor.peer);
  to.text(cursor.incarnation);
  to.f64(cursor.sequence);
  to.text(cursor.opening);
}

export function readPeerCursor(from: ByteReader): PeerCursor | undefined {
  if (from.u8() === 0) return undefined;
  return { peer: from.text(), incarnation: from.text(), sequence: from.f64(), opening: from.text() };
}
