import type { ConsumedPage, Consumer } from "../../daemon/bus/consumer.ts";
import { BusError } from "../../daemon/bus/error.ts";
import type { MemoryStore } from "../../daemon/store/memory/store.ts";
import type { SequencedMessage } from "../../daemon/store/store.ts";
import type { Process } from "./node.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import type { Wanted } from "./wanted.ts";

/** Why a wait is given up. */
const IMPATIENCE = new Error("it took too long");

/** Milliseconds after a start of the node in which a consumer comes back. */
const MAX_ABSENCE_MS = 6_000;

const ONE = { messages: 1, bytes: 0 };

/** A cursor, and what had been given when it was kept. */
interface Kept {
  readonly cursor: string;
  readonly sequence: number;
  /** Messages given up to there. */
  readonly count: number;
  /** The newest message of the node. */
  readonly newest: number;
}

/** Whether the node has still what it had when a cursor was kept: up to that, and behind it. */
type Left = "all" | "enough" | "too little";

/** A message, whatever its log. */
interface Place {
  readonly sequence: number;
  readonly id: string;
}

/** What a consumer works with. */
export interface ConsumerWorld {
  readonly scheduler: Scheduler;
  readonly fail: (what: string) => void;
  /** Asks to delete messages of a log of the node from one on; where they are of another node, nothing happens. */
  readonly erase: (process: Process, first: SequencedMessage) => void;
}

/**
 * Consumes by patterns on one node over all its restarts, each time from the cursor that it kept last, and sees that
 * nothing is left out, doubled, out of order, not asked for, or shown though deleted.
 */
export class SimulatedConsumer {
  readonly #wanted: Wanted;
  readonly #what: string;
  readonly #world: ConsumerWorld;
  readonly #random: Random;
  /** What was given, without what is given again because no cursor was kept behind it. */
  #given: Place[] = [];
  #kept: Kept | undefined;
  /** What the cursor kept last is worth. */
  #left: Left = "all";
  /** Everything up to this sequence is behind it. */
  #position = 0;
  /** Where it began. */
  #begin = 0;
  /** What a consumer begins with narrows it down up to this sequence, where it first went on from a cursor. */
  #narrowedTo = Infinity;
  /** Up to this sequence messages may have been deleted once that are not deleted in a restored backup. */
  #restoredTo = 0;

  constructor(node: string, wanted: Wanted, world: ConsumerWorld, random: Random) {
    this.#wanted = wanted;
    this.#what = `consumer of ${wanted.text} on ${node}`;
    this.#world = world;
    this.#random = random;
  }

  /** The node's data is lost, or all that came after some time. */
  async ruin(before: MemoryStore, left: MemoryStore): Promise<void> {
    const { sequence, newest } = this.#kept ?? { sequence: 0, newest: 0 };
    const last = await lastSequence(left);
    // What came behind the backup may come again in another order: then the cursor would pass over some of it.
    if (before.incarnation !== left.incarnation || sequence > last) this.#left = "too little";
    else this.#left = newest > last ? "enough" : "all";
    this.#restoredTo = sequence;
  }

  /** Goes on where it was, until the process ends. */
  async consume(process: Process): Promise<void> {
    // Some come back when the node has new messages already.
    if (this.#left === "too little" || this.#random.chance(0.5)) {
      await this.#world.scheduler.sleep(this.#random.next() * MAX_ABSENCE_MS);
    }
    try {
      while (process.alive) await this.#read(process, await this.#open(process));
    } catch (error) {
      if (error instanceof BusError && error.code === "unavailable") return;
      this.#world.fail(`${this.#what}: ${error}`);
    }
  }

  /** What differs between what was given and what is stored, or was set aside, by sequence; undefined when nothing does. */
  difference(
    stored: readonly SequencedMessage[],
    setAside: ReadonlyMap<number, string>,
  ): string | undefined {
    const given = new Map(this.#given.map(({ sequence, id }) => [sequence, id]));
    for (const message of stored) {
      const { sequence, id } = message;
      const was = given.get(sequence);
      given.delete(sequence);
      if (was === id || !this.#expects(message)) continue;
      if (was !== undefined) return `${this.#what}: another message ${sequence} was given`;
      if (!this.#mayLack(message)) return `${this.#what}: message ${sequence} was not given`;
    }
    for (const [sequence, id] of given) {
      if (setAside.get(sequence) !== id) return `${this.#what}: message ${sequence} is not stored`;
    }
    return undefined;
  }

  async #open(process: Process): Promise<Consumer> {
    const kept = this.#kept;
    if (kept === undefined) return await this.#beginAnew(process);
    const opening = process.bus.consume(this.#wanted.request({ kind: "cursor", cursor: kept.cursor }));
    const consumer = await opening.catch((error: unknown) => {
      if (error instanceof BusError && error.code === "failed_precondition") return undefined;
      throw error;
    });
    if (consumer === undefined) {
      // The opening that the cursor names may have begun behind the backup.
      if (this.#left === "all") this.#world.fail(`${this.#what}: cursor ${kept.cursor} was refused`);
      return await this.#beginAnew(process);
    }
    if (this.#left === "too little") {
      this.#world.fail(`${this.#what}: cursor ${kept.cursor} was accepted, though data was lost`);
    }
    this.#given = this.#given.slice(0, kept.count);
    this.#position = kept.sequence;
    this.#narrowedTo = Math.min(this.#narrowedTo, kept.sequence);
    return consumer;
  }

  async #beginAnew(process: Process): Promise<Consumer> {
    const { from } = this.#wanted;
    this.#kept = undefined;
    this.#left = "all";
    this.#given = [];
    this.#begin = this.#position = from.kind === "newest" ? process.bus.sequence : 0;
    this.#narrowedTo = Infinity;
    this.#restoredTo = 0;
    return await process.bus.consume(this.#wanted.request(from));
  }

  /** Reads until the process ends, or for a while. */
  async #read(process: Process, consumer: Consumer): Promise<void> {
    const random = this.#random;
    if (process.alive && random.chance(0.3)) await this.#keep(process, consumer);
    while (process.alive && !random.chance(0.02)) {
      const { messages } = await this.#next(process, consumer);
      if (!process.alive) return;
      for (const message of messages) this.#take(process, message);
      const { sequence } = consumer;
      if (sequence < this.#position) this.#world.fail(`${this.#what}: it gave more than it looked at`);
      this.#position = sequence;
      // Otherwise the page is lost when this is the last one.
      if (random.chance(0.6)) await this.#keep(process, consumer);
      if (random.chance(0.1)) await this.#world.scheduler.sleep(random.next() * 500);
    }
    consumer.close();
  }

  async #next(process: Process, consumer: Consumer): Promise<ConsumedPage> {
    const random = this.#random;
    const limits = { messages: random.pick([1, 3, 8, 100]), bytes: random.pick([50, 1_000_000]) };
    for (;;) {
      if (random.chance(0.1)) {
        const page = consumer.next(limits);
        await this.#eraseAhead(process, consumer.sequence);
        return await page;
      }
      if (!random.chance(0.1)) return await consumer.next(limits);
      const patience = new AbortController();
      const rest = this.#world.scheduler.after(random.next() * 100, () => patience.abort(IMPATIENCE));
      try {
        return await consumer.next(limits, patience.signal);
      } catch (error) {
        if (error !== IMPATIENCE) throw error;
      } finally {
        rest();
      }
    }
  }

  /** Deletes what comes after a sequence, and may be on its way. */
  async #eraseAhead(process: Process, sequence: number): Promise<void> {
    const { messages: [first] } = await process.store.memory.readAll(sequence + 1, {}, ONE);
    if (first !== undefined) this.#world.erase(process, first);
  }

  async #keep(process: Process, { sequence }: Consumer): Promise<void> {
    const newest = await lastSequence(process.store.memory);
    if (!process.alive) return;
    this.#kept = { cursor: process.bus.cursorAt(sequence), sequence, count: this.#given.length, newest };
    this.#left = "all";
  }

  #take(process: Process, message: SequencedMessage): void {
    const { topic, origin, headId, sequence, id, payload, deleted } = message;
    const fail = (what: string) =>
      this.#world.fail(`${this.#what}: message ${sequence}, ${headId} of "${topic}", ${what}`);
    if (sequence <= this.#position) fail(`came after ${this.#position}`);
    this.#position = sequence;
    this.#given.push({ sequence, id });
    if (!this.#expects(message)) fail("was not asked for");
    if (headId > process.bus.logHead(topic, origin).headId) fail("is beyond the head of its log");
    if (deleted && this.#wanted.skipDeleted) fail("came though deleted");
    if (deleted && payload.length > 0) fail("is deleted and has its payload");
    if (!deleted && process.store.wasErased(topic, origin, headId)) {
      fail("came with its payload after it was deleted here");
    }
  }

  #expects(message: SequencedMessage): boolean {
    const { sequence } = message;
    return this.#wanted.means(message) &&
      (sequence > this.#narrowedTo || sequence > this.#begin && this.#wanted.reaches(message));
  }

  /** Whether it was deleted possibly before it came to its turn. */
  #mayLack({ deleted, sequence }: SequencedMessage): boolean {
    return this.#wanted.skipDeleted && (deleted || sequence <= this.#restoredTo);
  }
}

/** The newest message of all logs, of those that were set aside too; 0 where there is none. */
async function lastSequence(memory: MemoryStore): Promise<number> {
  for (let from = 1;;) {
    const { next } = await memory.readAll(from, { only: [] }, ONE);
    if (next === from) return from - 1;
    from = next;
  }
}
