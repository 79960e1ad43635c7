import type { NodeName } from "../store.ts";

/** Messages of one log whose sequences follow one another. */
export interface Run {
  readonly firstHead: number;
  readonly firstSequence: number;
  readonly count: number;
}

const NO_RUN: Run = { firstHead: 1, firstSequence: 0, count: 0 };

/**
 * The end of a log, in memory: its last run, and through it its head. Changes belong to a transaction, which ends with
 * `keep` or `undo`.
 */
export class LogTail {
  readonly topic: string;
  readonly origin: NodeName;
  /** The key of `logs`; 0 until the log is in the table. */
  number: number;
  #firstHead: number;
  #firstSequence: number;
  #count: number;
  #written: boolean;
  #kept: { readonly number: number; readonly run: Run; readonly written: boolean } | undefined;

  constructor(topic: string, origin: NodeName, number = 0, run: Run = NO_RUN) {
    this.topic = topic;
    this.origin = origin;
    this.number = number;
    this.#firstHead = run.firstHead;
    this.#firstSequence = run.firstSequence;
    this.#count = run.count;
    this.#written = true;
  }

  /** The newest head; 0 when there is no message. */
  get head(): number {
    return this.#firstHead + this.#count - 1;
  }

  /** Remembers the state before the first change of a transaction; true when this was that change. */
  touch(): boolean {
    if (this.#kept !== undefined) return false;
    this.#kept = { number: this.number, run: this.run, written: this.#written };
    return true;
  }

  keep(): void {
    this.#kept = undefined;
  }

  undo(): void {
    if (this.#kept === undefined) return;
    this.number = this.#kept.number;
    this.#firstHead = this.#kept.run.firstHead;
    this.#firstSequence = this.#kept.run.firstSequence;
    this.#count = this.#kept.run.count;
    this.#written = this.#kept.written;
    this.#kept = undefined;
  }

  continuesAt(sequence: number): boolean {
    return this.#count > 0 && this.#firstSequence + this.#count === sequence;
  }

  startRun(sequence: number): void {
    this.#firstHead += this.#count;
    this.#firstSequence = sequence;
    this.#count = 0;
  }

  /** One more message in the last run; says its head. */
  extendRun(): number {
    this.#count++;
    this.#written = false;
    return this.head;
  }

  /** Whether the table has the last run as it is here. */
  get written(): boolean {
    return this.#written;
  }

  /** The last run if the table does not have it like this; the caller then writes it. */
  unwrittenRun(): Run | undefined {
    if (this.#written) return undefined;
    this.#written = true;
    return this.run;
  }

  /** The last run; its count is 0 when there is no message. */
  get run(): Run {
    return { firstHead: this.#firstHead, firstSequence: this.#firstSequence, count: this.#count };
  }
}
