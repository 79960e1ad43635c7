import type { BenchRun } from "./workload.ts";

/** Decides how long a workload goes on: until its messages are sent, its time is over, or the user stops it. */
export class Pace {
  readonly #run: BenchRun;
  readonly #what: string;
  readonly #begin: number;
  readonly #messages: number;
  #taken = 0;

  /** Begins now. `what` is shown beside the progress. */
  constructor(run: BenchRun, what: string, messages = run.sizes.messages) {
    this.#run = run;
    this.#what = what;
    this.#messages = messages;
    this.#begin = run.now();
  }

  /** Whether there is one more message to send; if so, it counts as sent. */
  take(): boolean {
    const { stop, sizes, now, progress } = this.#run;
    if (stop.aborted || this.#taken >= this.#messages) return false;
    const spent = (now() - this.#begin) / 1_000 / sizes.seconds;
    if (spent >= 1) return false;
    this.#taken++;
    progress(this.#what, Math.max(spent, this.#taken / this.#messages));
    return true;
  }

  /** Seconds since it began. */
  seconds(): number {
    return (this.#run.now() - this.#begin) / 1_000;
  }
}
