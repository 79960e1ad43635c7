import { LogMap } from "../log_map.ts";
import type { LogName } from "../store.ts";
import type { LogTail } from "./log_tail.ts";

/** A list of logs as the store thread knows it. A log may come into being after the list. */
export class LogFilter {
  readonly #names = new LogMap<true>();
  /** What was found out, by the key of `logs`, which stays with one name. */
  readonly #known = new Map<number, boolean>();

  add({ topic, origin }: LogName): void {
    this.#names.set(topic, origin, true);
  }

  /** Whether the list has the log. */
  has({ number, topic, origin }: LogTail): boolean {
    let has = this.#known.get(number);
    if (has === undefined) this.#known.set(number, has = this.#names.get(topic, origin) === true);
    return has;
  }
}
