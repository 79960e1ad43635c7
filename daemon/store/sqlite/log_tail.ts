import type { NodeName } from "../store.ts";

/** Messages of one log whose sequences follow one another. */
export interface Run {
  readonly firstHead: number;
  readonly firstSequence: number;
  readonly count: number;
}

/** A log as its row in the table has it. */
export interface StoredLog {
  readonly number: number;
  readonly incarnation: string;
  /** Its last run; undefined when it has no message. */
  readonly run: Run | undefined;
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
  /** Of the log this one was copied from; "" where unknown. */
  incarnation: string;
  #firstHead: number;
  #firstSequence: number;
  #count: number;
  #written: boolean;
  #kept: (StoredLog & { readonly run: Run; readonly written: boolean }) | undefined;

  /** `stored` is left out for a log that is not in the table. */
  constructor(topic: string, origin: NodeName, stored?: StoredLog) {
    const run = stored?.run ?? NO_RUN;
    this.topic = topic;
    this.origin = origin;
    this.number = stored?.number ?? 0;
    this.incarnation = stored?.incarnation ?? "";
    this.#firstHead = run.firstHead;
    this.#firstSequence = run.firstSequence;
    this.#count = run.count;
    this.#written = true;
  }

  /** The newest head; 0 when there is no message. */
  get head(): number {
    return this.#firstHead + this.#count - 1;
  }

  /** The sequence of the newest message; 0 when there is none. */
  get sequence(): number {
    return this.#count === 0 ? 0 : this.#firstSequence + this.#count - 1;
  }

  /** Remembers the state before the first change of a transaction; true when this was that change. */
  touch(): boolean {
    if (this.#kept !== undefined) return false;
    const { number, incarnation, run } = this;
    this.#kept = { number, incarnation, run, written: this.#written };
    return true;
  }

  keep(): void {
    this.#kept = undefined;
  }

  undo(): void {
    if (this.#kept === undefined) return;
    this.#restore(this.#kept);
    this.#written = this.#kept.written;
    this.#kept = undefined;
  }

  /** Hands over what is stored to a tail of its own; this one has no messages then. Its last run must be written. */
  setAside(): LogTail {
    const aside = new LogTail(this.topic, this.origin, this);
    this.#restore({ number: 0, incarnation: "", run: NO_RUN });
    return aside;
  }

  continuesAt(sequence: number): boolean {
    return this.#count > 0 && this.#firstSequence + this.#count === sequence;
  }

  startRun(sequence: number): void {
    this.#firstHead += this.#count;
    this.#firstSequence = sequence;
    this.#count = 0;
  }

  /** More messages in the last run; says the first one's head. */
  extendRun(count: number): number {
    const first = this.head + 1;
    this.#count += count;
    this.#written = false;
    return first;
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

  #restore({ number, incarnation, run }: StoredLog & { readonly run: Run }): void {
    this.number = number;
    this.incarnation = incarnation;
    this.#firstHead = run.firstHead;
    this.#firstSequence = run.firstSequence;
    this.#count = run.count;
  }
}
