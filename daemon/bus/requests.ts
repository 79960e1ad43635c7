import type { BusError } from "./error.ts";
import type { Uuid } from "./uuid.ts";
import type { NodeName, ReplicatedMessage } from "../store/store.ts";

/** A node in a request: absent or with three empty parts it means the local node (except as a FIFO target). */
export type RequestNode = NodeName | undefined;

/** See `Bus.publish`. */
export interface PublishRequest {
  readonly topic: string;
  readonly origin?: RequestNode;
  /** Belongs to the bus from here on: the caller never changes it again. */
  readonly payload: Uint8Array;
  /** Encoded as in `headers.ts`; belongs to the bus from here on. */
  readonly headers: Uint8Array;
  /** See {@link BatchMessage}. */
  readonly key?: string;
}

/** A message of a batch. Its bytes may change as soon as the batch has entered, see {@link PublishBatchRequest}. */
export interface BatchMessage {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** Encoded as in `headers.ts`. */
  readonly headers: Uint8Array;
  /** A message with the same key and topic is stored once: 1 to 256 characters of printable ASCII; none where absent. */
  readonly key?: string | undefined;
}

/** See `Bus.openProducer`. */
export interface OpenProducerRequest {
  /** Any name that nobody else uses, as topics may have. */
  readonly id: string;
  /** From 1 on; 0 asks for a new one. */
  readonly epoch: number;
  /** Producers of different owners never meet, whatever their ids. "" where absent. */
  readonly owner?: string;
}

/** Who publishes batches that are stored once. Made by `Bus.openProducer`. */
export interface Producer {
  readonly owner: string;
  readonly id: string;
  readonly epoch: number;
  /** The last sequence that it had stored in this epoch when it was opened; 0 where there was none. */
  readonly lastSequence: number;
}

/** See `Bus.publishBatch`. */
export interface PublishBatchRequest {
  readonly messages: readonly BatchMessage[];
  /** Says why nothing may be published to a topic; undefined where it may. Asked once per run of one topic. */
  readonly refuse?: (topic: string) => BusError | undefined;
  /** Whose messages they are; nobody's where absent: then only those with a key are known again. */
  readonly producer?: Producer | undefined;
  /** The producer's sequence of the first message, from 1 on; each one behind it has the next. */
  readonly firstSequence?: number;
  /**
   * Called when it is on its way to the disk: at once where there is room, and never where there is none in time. The bus
   * has what it needs of the messages then.
   */
  readonly entered?: () => void;
}

/** Messages of a batch that follow one another in it and in one log, with ids that follow one another. */
export interface PublishedRun {
  readonly kind: "published";
  /** The place of the first in the batch, from 0 on. */
  readonly at: number;
  readonly count: number;
  /** Of the first; each one behind it has the next. */
  readonly headId: number;
  /** The id of the first; each one behind it has the number before it plus one. */
  readonly uuid: Uuid;
  readonly createdAtMs: number;
  /** They had been stored before; all that is said is what was said then. */
  readonly duplicate: boolean;
  /** They were deleted since. */
  readonly deleted: boolean;
}

/** Messages of a batch that follow one another in it and were not stored. */
export interface PublishRefusal {
  readonly kind: "refused";
  /** The place of the first in the batch, from 0 on. */
  readonly at: number;
  readonly count: number;
  readonly error: BusError;
}

/** What became of a part of a batch. */
export type PublishOutcome = PublishedRun | PublishRefusal;

/** See `Bus.fetch`. */
export interface FetchRequest {
  readonly topic: string;
  readonly origin?: RequestNode;
  /** 0 means 1. */
  readonly fromHeadId: number;
  /** How many messages at most; 0 means 100; more than 10,000 is served as 10,000. */
  readonly limit: number;
}

/** See `Bus.subscribe`. */
export interface SubscribeRequest {
  readonly topic: string;
  readonly origin?: RequestNode;
  /** 0 means 1. May lie beyond the newest message. */
  readonly fromHeadId: number;
  /** How many messages `next` returns at most; 0 means 100; more than 10,000 is served as 10,000. */
  readonly pageSize: number;
}

/** See `Bus.replicate`. */
export interface ReplicateRequest {
  readonly topic: string;
  readonly origin: NodeName;
  /** The incarnation of the log they come from; "" where it is unknown. */
  readonly incarnation: string;
  /** Their heads follow one another. Payload and headers belong to the bus from here on. */
  readonly messages: readonly ReplicatedMessage[];
  /** Take messages of the local node that it does not have itself: an operator's decision. Default false. */
  readonly adopt?: boolean;
}

/** Where consuming begins. */
export type ConsumeFrom =
  /** With the oldest message that is stored, or behind the newest. */
  | { readonly kind: "oldest" | "newest" }
  /** In each log with this head. */
  | { readonly kind: "head"; readonly headId: number }
  /** With messages created at this time or later, in milliseconds since the Unix epoch. */
  | { readonly kind: "time"; readonly ms: number }
  /** Behind what was consumed up to a {@link cursor}. */
  | { readonly kind: "cursor"; readonly cursor: string };

/** See `Bus.consume`. */
export interface ConsumeRequest {
  /** At least one, at most 100. */
  readonly patterns: readonly string[];
  /** Every origin where it is empty. */
  readonly origins: readonly NodeName[];
  readonly from: ConsumeFrom;
  /** Whether deleted messages are left out. */
  readonly skipDeleted: boolean;
  /** Whether a topic may be read; messages of others are left out. All may where absent. */
  readonly allowed?: (topic: string) => boolean;
}

/** See `Bus.deleteRange`. */
export interface DeleteRangeRequest {
  readonly topic: string;
  readonly origin?: RequestNode;
  /** 0 means 1. */
  readonly fromHeadId: number;
  /** Inclusive; a value beyond the newest message means the newest message. */
  readonly toHeadId: number;
}

/** See `Bus.enqueueFifo`. */
export interface EnqueueFifoRequest {
  readonly queue: string;
  readonly topic: string;
  /** Absent: the local node. */
  readonly source?: RequestNode;
  /** Required; three empty parts mean the local node. */
  readonly target: NodeName | undefined;
  readonly payload: Uint8Array;
  /** Encoded as in `headers.ts`. */
  readonly headers: Uint8Array;
}
