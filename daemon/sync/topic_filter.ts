import { RESERVED_TOPIC_PREFIX } from "../bus/names.ts";
import { TopicPattern } from "../bus/topic_pattern.ts";

/** Which topics a peer is asked for. The bus's own topics always pass: deletions must reach every copy. */
export class TopicFilter {
  readonly #include: readonly TopicPattern[];
  readonly #exclude: readonly TopicPattern[];

  /** No `include` is every topic. Throws BusError invalid_argument when a text is no pattern. */
  constructor(include: readonly string[], exclude: readonly string[]) {
    this.#include = include.map((text) => new TopicPattern(text, "include"));
    this.#exclude = exclude.map((text) => new TopicPattern(text, "exclude"));
  }

  passes(topic: string): boolean {
    if (topic.startsWith(RESERVED_TOPIC_PREFIX)) return true;
    if (this.#exclude.some((pattern) => pattern.matches(topic))) return false;
    return this.#include.length === 0 || this.#include.some((pattern) => pattern.matches(topic));
  }

  /** The same text for the same filter; "" for the one that passes everything. */
  get text(): string {
    const texts = (patterns: readonly TopicPattern[], sign: string) =>
      patterns.map(({ text }) => sign + text).sort();
    return [...texts(this.#include, "+"), ...texts(this.#exclude, "-")].join(" ");
  }
}
