import type { NodeName, PeerCursor, PeerSyncState, ProducerName, ReadLimits } from "../store.ts";
import type { FifoEntry } from "./fifo_tables.ts";
import type { LogChunk } from "./chunk.ts";
import type { LogFilter } from "./log_filter.ts";
import type { StoredId } from "./message_id.ts";
import type { OnceEntries } from "./once_appender.ts";
import type { ReplicatedEntries } from "./replication.ts";

/** A call that changes the store. `bytes` is what it adds, roughly. */
export type WriteRequest =
  & { readonly call: number; readonly bytes: number }
  & (
    | { readonly op: "append"; readonly count: number; readonly chunks: readonly LogChunk[] }
    | ({ readonly op: "appendOnce"; readonly count: number } & OnceEntries)
    | {
      readonly op: "openProducer";
      readonly name: ProducerName;
      readonly epoch: number;
      readonly nowMs: number;
    }
    | {
      readonly op: "deleteRange";
      readonly topic: string;
      readonly origin: NodeName;
      readonly from: number;
      readonly to: number;
      readonly marker: LogChunk;
    }
    | {
      readonly op: "eraseRange";
      readonly topic: string;
      readonly origin: NodeName;
      readonly from: number;
      readonly to: number;
      readonly incarnation: string;
    }
    | ({ readonly op: "replicate" } & ReplicatedEntries)
    | {
      readonly op: "archive";
      readonly topic: string;
      readonly origin: NodeName;
      readonly forgetDeletes: boolean;
    }
    | { readonly op: "enqueueFifo"; readonly entry: FifoEntry }
    | { readonly op: "ackFifo" | "rejectFifo"; readonly queue: string; readonly id: StoredId }
    | {
      readonly op: "recordPeerSync";
      readonly states: readonly PeerSyncState[];
      readonly cursor: PeerCursor | undefined;
    }
  );

/** How many messages a call adds; 1 where it adds something else. */
export function messagesOf(request: WriteRequest): number {
  switch (request.op) {
    case "append":
    case "appendOnce":
      return request.count;
    case "replicate":
      return request.count + request.enqueues.length;
    default:
      return 1;
  }
}

/** A call that only asks. */
export type ReadRequest =
  & { readonly call: number }
  & (
    | {
      readonly op: "read";
      readonly topic: string;
      readonly origin: NodeName;
      readonly from: number;
      readonly limits: ReadLimits;
    }
    | {
      readonly op: "readArchived";
      readonly topic: string;
      readonly origin: NodeName;
      readonly name: string;
      readonly from: number;
      readonly limits: ReadLimits;
    }
    | {
      readonly op: "readAll";
      readonly from: number;
      readonly limits: ReadLimits;
      readonly only: LogFilter | undefined;
      readonly except: LogFilter | undefined;
      readonly skipDeleted: boolean;
      readonly createdFromMs: number | undefined;
    }
    | {
      readonly op: "extent";
      readonly topic: string;
      readonly origin: NodeName;
      readonly from: number;
      readonly to: number;
      readonly most: number;
    }
    | { readonly op: "lastOf"; readonly opening: string }
    | { readonly op: "peekFifo"; readonly queue: string }
    | { readonly op: "peerCursor"; readonly peer: string }
    | { readonly op: PlainOp }
  );

/** A call without arguments that only asks. */
export type PlainOp = "heads" | "archivedLogs" | "peerSyncStates" | "check" | "stats";

/** What the event loop asks the store thread for. */
export type Request =
  | { readonly kind: "write"; readonly request: WriteRequest }
  | { readonly kind: "read"; readonly request: ReadRequest }
  | { readonly kind: "close"; readonly call: number };

/** A frame names its operation by the place in this list. */
export const OPS = [
  "append",
  "appendOnce",
  "openProducer",
  "deleteRange",
  "eraseRange",
  "replicate",
  "archive",
  "enqueueFifo",
  "ackFifo",
  "rejectFifo",
  "recordPeerSync",
  "read",
  "readArchived",
  "readAll",
  "extent",
  "lastOf",
  "peekFifo",
  "heads",
  "archivedLogs",
  "peerSyncStates",
  "peerCursor",
  "check",
  "stats",
  "close",
] as const;

export type Op = typeof OPS[number];
