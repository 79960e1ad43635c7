import { MessageReader } from "../message_codec.ts";
import { joined } from "../joined.ts";
import type { LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { stretches } from "./stretches.ts";

/** What is read at a time to compare it. */
const COMPARED = { messages: 1_024, bytes: 4 << 20 };

/** The logs that were set aside, beside those in use: up to where they parted they have the same messages. */
export class LogsAside {
  readonly #logs: LogTables;

  constructor(logs: LogTables) {
    this.#logs = logs;
  }

  /** Whether a log was set aside that has a message at some head from `from` on. */
  mayReach(log: LogTail, from: number): boolean {
    return this.#logs.asideOf(log).some(({ head }) => head >= from);
  }

  /** Erases what is deleted of the log in use from one head to another. Says how many messages were not erased before. */
  erase(log: LogTail, from: number, to: number): number {
    let erased = 0;
    for (const aside of this.#logs.asideOf(log)) {
      const heads = this.#toErase(log, aside, from, Math.min(to, log.head, aside.head));
      for (const [first, last] of stretches(heads)) erased += this.#logs.erase(aside, first, last);
    }
    return erased;
  }

  /** Whether a log that was set aside has the message that the log in use has at a head. */
  have(log: LogTail, head: number): boolean {
    for (const aside of this.#logs.asideOf(log)) {
      if (head > aside.head) continue;
      this.#logs.flush();
      const [before, now] = [aside, log].map((one) => this.#messages(one, head, head).next().value?.id);
      if (before !== undefined && before === now) return true;
    }
    return false;
  }

  /** The heads at which both have the same message, and only the log in use has it deleted. */
  #toErase(log: LogTail, aside: LogTail, from: number, to: number): number[] {
    const heads: number[] = [];
    if (from > to) return heads;
    this.#logs.flush();
    const old = this.#messages(aside, from, to);
    let head = from;
    for (const message of this.#messages(log, from, to)) {
      const { value: before } = old.next();
      if (before === undefined) break;
      if (message.deleted && !before.deleted && message.id === before.id) heads.push(head);
      head++;
    }
    return heads;
  }

  /** The messages from one head to another, each until the next one is asked for. */
  *#messages(log: LogTail, from: number, to: number): Generator<MessageReader, undefined> {
    for (let head = from; head <= to;) {
      const limits = { ...COMPARED, messages: Math.min(COMPARED.messages, to - head + 1) };
      const message = new MessageReader(joined(this.#logs.read(log, head, limits).slices));
      for (; message.next(); head++) yield message;
    }
    return undefined;
  }
}
