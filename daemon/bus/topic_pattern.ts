import { BusError } from "./error.ts";
import { checkName } from "./names.ts";

/** The wildcards of a dialect. Each must be a whole level. */
interface Dialect {
  readonly separator: string;
  readonly one: string;
  readonly rest: string;
  /** Whether the wildcard for the rest also matches when there is none. */
  readonly restMayBeEmpty: boolean;
}

/** As in NATS: `a.*.b`, `a.>`. */
const DOTS: Dialect = { separator: ".", one: "*", rest: ">", restMayBeEmpty: false };
/** As in MQTT (3.1.1 §4.7): `a/+/b`, `a/#`. */
const SLASHES: Dialect = { separator: "/", one: "+", rest: "#", restMayBeEmpty: true };

/** Topics that begin with this are matched by patterns that spell out their first level only (MQTT 3.1.1 §4.7.2). */
const HIDDEN_PREFIX = "$";

/**
 * Which topics (or queues) are meant. Two dialects, told apart by the separator:
 *
 * | pattern  | matches                        | does not match          |
 * | -------- | ------------------------------ | ----------------------- |
 * | `a.*.c`  | `a.b.c`                        | `a.c`, `a.b.b.c`        |
 * | `a.>`    | `a.b`, `a.b.c`                 | `a`: one level at least |
 * | `a/+/c`  | `a/b/c`, `a//c`                | `a/c`, `a/b/b/c`        |
 * | `a/#`    | `a`, `a/b`, `a/b/c`            | `ab`                    |
 * | `>`, `#` | everything                     | `$msgbus.delete`        |
 * | `a.b`    | `a.b`                          | everything else         |
 *
 * A pattern with a `/` is of the second dialect, as are `+` and `#` alone; every other one is of the first. A wildcard
 * stands for whole levels; one in the first level does not match topics that begin with `$`.
 */
export class TopicPattern {
  /** As it was written. */
  readonly text: string;
  readonly #dialect: Dialect;
  /** Without the wildcard for the rest; undefined stands for any level. Undefined as a whole: no wildcards. */
  readonly #levels: readonly (string | undefined)[] | undefined;
  readonly #openEnded: boolean;

  /** Reads a pattern. Throws invalid_argument, with `field`, when it is no name or a wildcard is out of place. */
  constructor(text: string, field: string) {
    checkName(text, field);
    this.text = text;
    this.#dialect = text.includes("/") || text === SLASHES.one || text === SLASHES.rest ? SLASHES : DOTS;
    const { separator, one, rest } = this.#dialect;
    const other = this.#dialect === DOTS ? SLASHES : DOTS;
    const levels = text.split(separator);
    levels.forEach((level, at) => {
      if (level === other.one || level === other.rest) {
        throw wrong(
          text,
          field,
          `"${level}" goes with "${other.separator}"; write "${level === other.one ? one : rest}"`,
        );
      }
      if (level !== one && level !== rest && (level.includes(one) || level.includes(rest))) {
        throw wrong(
          text,
          field,
          `a wildcard must be a whole level; write "${one}" or "${rest}" alone between "${separator}"`,
        );
      }
      if (level === rest && at < levels.length - 1) {
        throw wrong(text, field, `"${rest}" must come last; move or drop it`);
      }
    });
    this.#openEnded = levels.at(-1) === rest;
    if (this.#openEnded) levels.pop();
    this.#levels = this.#openEnded || levels.includes(one)
      ? levels.map((level) => level === one ? undefined : level)
      : undefined;
  }

  /** Whether it has wildcards; one without means the topic of its own name. */
  get wild(): boolean {
    return this.#levels !== undefined;
  }

  /** Whether the topic is meant. */
  matches(topic: string): boolean {
    const wanted = this.#levels;
    if (wanted === undefined) return topic === this.text;
    if (topic.startsWith(HIDDEN_PREFIX) && wanted[0] === undefined) return false;
    const levels = topic.split(this.#dialect.separator);
    const rest = levels.length - wanted.length;
    if (this.#openEnded ? rest < (this.#dialect.restMayBeEmpty ? 0 : 1) : rest !== 0) return false;
    return wanted.every((level, at) => level === undefined || level === levels[at]);
  }
}

/** Whether a pattern is one topic's name. Throws as the constructor does. */
export function isTopic(pattern: string): boolean {
  return !new TopicPattern(pattern, "start.patterns").wild;
}

function wrong(text: string, field: string, wish: string): BusError {
  return new BusError("invalid_argument", `Cannot use the pattern "${text}" as ${field}: ${wish}`, { field });
}
