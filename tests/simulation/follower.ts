import { BusError } from "../../daemon/bus/error.ts";
import type { NodeName, StoredMessage } from "../../daemon/store/store.ts";
import type { Process } from "./node.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** Messages of one page: small, so that pages end in the middle of bursts. */
const PAGE_SIZE = 5;

/** Follows one log on one node over all its restarts, and sees that nothing is left out, doubled, or shown though deleted. */
export class Follower {
  readonly topic: string;
  readonly origin: NodeName;
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #fail: (what: string) => void;
  /** The ids that were delivered: of head n at n - 1. */
  #seen: string[] = [];

  constructor(
    topic: string,
    origin: NodeName,
    scheduler: Scheduler,
    random: Random,
    fail: (what: string) => void,
  ) {
    this.topic = topic;
    this.origin = origin;
    this.#scheduler = scheduler;
    this.#random = random;
    this.#fail = fail;
  }

  /** Begins anew: the node has lost its data. */
  reset(): void {
    this.#seen = [];
  }

  /** Goes on where it was, until the process ends. */
  async follow(process: Process): Promise<void> {
    while (process.alive) {
      const { topic, origin } = this;
      const fromHeadId = this.#seen.length + 1;
      try {
        const following = process.bus.subscribe({ topic, origin, fromHeadId, pageSize: PAGE_SIZE });
        for (;;) {
          for (const message of await following.next()) this.#take(process, message);
          if (this.#random.chance(0.1)) await this.#scheduler.sleep(this.#random.next() * 500);
          if (!process.alive) return;
        }
      } catch (error) {
        if (!(error instanceof BusError) || error.code !== "unavailable") {
          return this.#fail(`a subscription failed: ${error}`);
        }
        if (!(await process.bus.ready()).ready) return;
        this.reset(); // the log was set aside
      }
    }
  }

  /** What differs between what was delivered and what is stored; undefined when nothing does. */
  difference(stored: readonly StoredMessage[]): string | undefined {
    if (stored.length !== this.#seen.length) return `${this.#seen.length} of ${stored.length} delivered`;
    const at = stored.findIndex(({ id }, at) => id !== this.#seen[at]);
    return at < 0 ? undefined : `another message ${at + 1} was delivered`;
  }

  #take(process: Process, message: StoredMessage): void {
    const { topic, origin } = this;
    const { headId, deleted, payload, id } = message;
    const what = `subscription of "${topic}" of ${origin.deviceId} on ${process.name}`;
    if (headId !== this.#seen.length + 1) {
      this.#fail(`${what}: head ${headId} came after ${this.#seen.length}`);
    }
    this.#seen.push(id);
    if (headId > process.bus.logHead(topic, origin).headId) {
      this.#fail(`${what}: message ${headId} is beyond the head of its log`);
    }
    if (deleted && payload.length > 0) this.#fail(`${what}: deleted message ${headId} has a payload`);
    if (!deleted && process.store.wasErased(topic, origin, headId)) {
      this.#fail(`${what}: message ${headId} came with its payload after it was deleted here`);
    }
  }
}
