import { TopicPattern } from "./topic_pattern.ts";

/** What somebody may do, as it is written down. Whatever is left out is not allowed. */
export interface GrantList {
  /** Patterns of topics to publish to. */
  readonly publish?: readonly string[];
  /** Patterns of topics to subscribe to, fetch from, and see the heads of. */
  readonly subscribe?: readonly string[];
  /** Patterns of queues to enqueue to, look at, acknowledge and reject. */
  readonly fifo?: readonly string[];
  /** Deleting from any topic, all heads, and the state of the synchronization. */
  readonly admin?: boolean;
  /** What a peer needs: reading every log, of every origin. */
  readonly sync?: boolean;
}

/** What somebody may do with topics and queues: the kinds of grants that have patterns. */
export type PatternGrant = "publish" | "subscribe" | "fifo";

/** What somebody may do. */
export class Grants {
  readonly admin: boolean;
  readonly sync: boolean;
  readonly #patterns: Readonly<Record<PatternGrant, readonly TopicPattern[]>>;

  /** Reads the patterns. Throws invalid_argument, with a field such as "publish", when one is none. */
  constructor(list: GrantList) {
    this.admin = list.admin ?? false;
    this.sync = list.sync ?? false;
    const patterns = (kind: PatternGrant) => (list[kind] ?? []).map((text) => new TopicPattern(text, kind));
    this.#patterns = {
      publish: patterns("publish"),
      subscribe: patterns("subscribe"),
      fifo: patterns("fifo"),
    };
  }

  /** Whether a pattern of this kind matches the name of a topic or queue. */
  allows(kind: PatternGrant, name: string): boolean {
    return this.#patterns[kind].some((pattern) => pattern.matches(name));
  }

  /** Whether there is a pattern of this kind. */
  some(kind: PatternGrant): boolean {
    return this.#patterns[kind].length > 0;
  }

  /** Whether the topic may be read, in any way. */
  mayRead(topic: string): boolean {
    return this.sync || this.allows("subscribe", topic);
  }
}
