import { StoreError } from "./error.ts";
import type { Appended, NewMessage } from "./store.ts";

/** A message that may be known by a key. */
export interface OnceMessage extends NewMessage {
  /** A message of the same log with the same key is stored once, see `Store.appendOnce`. Not empty. */
  readonly key?: string | undefined;
}

/** Which producer: those of different owners have nothing in common, whatever their ids. */
export interface ProducerName {
  /** Whoever it belongs to; "" where nobody is told from anybody else. */
  readonly owner: string;
  /** Any text that is not empty and has no NUL. */
  readonly id: string;
}

/** Who appends, and how it numbers its messages. */
export interface AppendingProducer extends ProducerName {
  /** From 1 on, at most 2^52. */
  readonly epoch: number;
  /** The producer's sequence of the first message of the batch, from 1 on; each one behind it has the next. */
  readonly firstSequence: number;
}

/** Where a producer stands. */
export interface ProducerPlace {
  /** From 1 on. */
  readonly epoch: number;
  /** The last of its sequences that was stored in this epoch; 0 where none was. */
  readonly lastSequence: number;
}

/** Messages of a batch that follow one another in it and in one log, and are stored now. */
export interface AppendedRun extends Appended {
  readonly kind: "appended";
  /** The place of the first in the batch, from 0 on. Head and sequence are its own; each one behind it has the next. */
  readonly at: number;
  readonly count: number;
}

/** A message of a batch that was stored before, and how it was stored then. */
export interface Duplicate extends Appended {
  readonly kind: "duplicate";
  readonly at: number;
  readonly id: string;
  readonly createdAtMs: number;
  readonly deleted: boolean;
}

/** A message of a batch that is not stored. */
export interface OnceRefusal {
  readonly kind: "refused";
  readonly at: number;
  /**
   * - `key_conflict`: another message was stored with the same key
   * - `sequence_conflict`: another message was stored with the same sequence
   * - `forgotten`: the sequence is not above the producer's last one, and no message is known by it any more, or none
   *   was stored
   */
  readonly reason: "key_conflict" | "sequence_conflict" | "forgotten";
}

/** What became of a part of a batch. */
export type OnceOutcome = AppendedRun | Duplicate | OnceRefusal;

/** How long it is known what was stored. */
export interface DedupLimits {
  /** Keys that are remembered, and as many runs of producers' sequences; the oldest ones go first. Default 1,000,000. */
  readonly keys: number;
  /**
   * Milliseconds that they, and producers that append nothing, are remembered, by the times of the messages that are
   * appended. Default 14 days.
   */
  readonly ageMs: number;
}

/** The defaults named above. */
export const DEFAULT_DEDUP_LIMITS: DedupLimits = { keys: 1_000_000, ageMs: 14 * 24 * 3_600_000 };

/** Producers that are remembered; of the owner that has the most, the one that was used least recently goes first. */
export const MAX_PRODUCERS = 10_000;

/** A producer's name as one text. */
export function producerKey({ owner, id }: ProducerName): string {
  return `${owner}\0${id}`; // an id has no NUL in it
}

/** What a producer fails with that another one has taken over from. */
export function staleEpochError(epoch: number, known: number): StoreError {
  return new StoreError(
    "stale_epoch",
    `stale epoch ${epoch}, the producer is in epoch ${known}; stop this process, or ask for a new epoch with 0`,
  );
}
