import type { LogName, NodeName } from "../store/store.ts";
import { isSameNode } from "./names.ts";
import type { TopicPattern } from "./topic_pattern.ts";

/** The logs of a store as a filter sees them. */
export interface KnownLogs {
  /** Grows whenever a log comes into being. */
  readonly version: number;
  /** Every log, also one without messages. */
  names(): Iterable<LogName>;
}

/** Which logs the store is to read: only those, or all but those; all where both are absent. */
export interface LogLists {
  readonly only?: readonly LogName[];
  readonly except?: readonly LogName[];
}

const NO_NODE: NodeName = { tenantId: "", blName: "", deviceId: "" };

/** Which logs are meant: topics by patterns, origins by name. */
export class LogFilter {
  readonly #patterns: readonly TopicPattern[];
  readonly #origins: readonly NodeName[] | undefined;
  readonly #allowed: ((topic: string) => boolean) | undefined;
  readonly #logs: KnownLogs;
  #lists: LogLists = {};
  #version = -1;
  /** The log that was asked for last: most messages are of that of the one before. */
  #topic: string | undefined;
  #origin = NO_NODE;
  #wanted = false;

  /** Every origin where `origins` is undefined; of the topics only those that are `allowed`. */
  constructor(
    logs: KnownLogs,
    patterns: readonly TopicPattern[],
    origins: readonly NodeName[] | undefined,
    allowed: ((topic: string) => boolean) | undefined,
  ) {
    this.#logs = logs;
    this.#patterns = patterns;
    this.#origins = origins;
    this.#allowed = allowed;
  }

  /** Whether the log is meant. */
  wants(topic: string, origin: NodeName): boolean {
    if (topic === this.#topic && origin === this.#origin) return this.#wanted;
    this.#topic = topic;
    this.#origin = origin;
    return this.#wanted = this.#patterns.some((pattern) => pattern.matches(topic)) &&
      (this.#origins === undefined || this.#origins.some((wanted) => isSameNode(wanted, origin))) &&
      (this.#allowed === undefined || this.#allowed(topic));
  }

  /** The logs that exist as a list for the store, the shorter of the two; the same one while there is no new log. */
  get lists(): LogLists {
    if (this.#version === this.#logs.version) return this.#lists;
    this.#version = this.#logs.version;
    const only: LogName[] = [];
    const except: LogName[] = [];
    for (const log of this.#logs.names()) (this.wants(log.topic, log.origin) ? only : except).push(log);
    return this.#lists = except.length === 0 ? {} : only.length <= except.length ? { only } : { except };
  }

  /** The logs that are meant, as far as they exist; undefined where they are more than `most`. */
  existing(most: number): readonly LogName[] | undefined {
    const found: LogName[] = [];
    for (const log of this.#logs.names()) {
      if (!this.wants(log.topic, log.origin)) continue;
      if (found.length === most) return undefined;
      found.push(log);
    }
    return found;
  }
}
