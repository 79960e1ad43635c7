import { Histogram } from "./histogram.ts";

/** Joins when messages were sent with when they came, which may be before their acknowledgement tells their head. */
export class Deliveries {
  readonly latency = new Histogram();
  readonly #subscribers: number;
  /** Messages that some subscriber lacks, by head. */
  readonly #open = new Map<number, { sentMs: number | undefined; arrivalsMs: number[]; missing: number }>();
  readonly #progressed: () => void;
  #complete = 0;

  /** Of so many subscribers; calls back when a message is with all of them. */
  constructor(subscribers: number, progressed: () => void = () => {}) {
    this.#subscribers = subscribers;
    this.#progressed = progressed;
  }

  /** Messages that all subscribers have. */
  get complete(): number {
    return this.#complete;
  }

  /** A message with this head was sent then. */
  sent(headId: number, sentMs: number): void {
    const message = this.#of(headId);
    message.sentMs = sentMs;
    for (const atMs of message.arrivalsMs) this.latency.record(atMs - sentMs);
    message.arrivalsMs = [];
    this.#close(headId, message.missing);
  }

  /** It came to one of the subscribers. */
  arrived(headId: number, atMs: number): void {
    const message = this.#of(headId);
    message.missing--;
    if (message.sentMs === undefined) {
      message.arrivalsMs.push(atMs);
      return;
    }
    this.latency.record(atMs - message.sentMs);
    this.#close(headId, message.missing);
  }

  #of(headId: number) {
    let message = this.#open.get(headId);
    if (message === undefined) {
      message = { sentMs: undefined, arrivalsMs: [], missing: this.#subscribers };
      this.#open.set(headId, message);
    }
    return message;
  }

  #close(headId: number, missing: number): void {
    if (missing > 0) return;
    this.#open.delete(headId);
    this.#complete++;
    this.#progressed();
  }
}
