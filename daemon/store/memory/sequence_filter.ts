import { LogMap } from "../log_map.ts";
import type { LogName, SequencedMessage, SequenceFilter } from "../store.ts";

/** Lists of logs as maps; each is made once. */
const maps = new WeakMap<readonly LogName[], LogMap<true>>();

/** Whether a message passes the filter. */
export function passes(filter: SequenceFilter, message: SequencedMessage): boolean {
  const { only, except, skipDeleted = false, createdFromMs = 0 } = filter;
  const { topic, origin, deleted, createdAtMs } = message;
  return !(skipDeleted && deleted) && createdAtMs >= createdFromMs &&
    (only === undefined || mapOf(only).get(topic, origin) === true) &&
    (except === undefined || mapOf(except).get(topic, origin) === undefined);
}

function mapOf(list: readonly LogName[]): LogMap<true> {
  let map = maps.get(list);
  if (map === undefined) {
    maps.set(list, map = new LogMap());
    for (const { topic, origin } of list) map.set(topic, origin, true);
  }
  return map;
}
