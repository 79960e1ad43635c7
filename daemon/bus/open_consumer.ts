import type { NodeName, Store } from "../store/store.ts";
import { Consumer } from "./consumer.ts";
import { isKnown, parseCursor } from "./cursor.ts";
import { BusError } from "./error.ts";
import { MAX_CONSUMER_PATTERNS, MAX_LOGS_LOOKED_UP } from "./limits.ts";
import { LogFilter } from "./log_filter.ts";
import type { Logs } from "./logs.ts";
import { resolveNode } from "./names.ts";
import type { ConsumeFrom, ConsumeRequest } from "./requests.ts";
import type { Timer } from "./timer.ts";
import { TopicPattern } from "./topic_pattern.ts";

/** What opening a consumer needs of its bus. */
export interface ConsumerSource {
  readonly store: Store;
  readonly node: NodeName;
  readonly logs: Logs;
  /** The sequence of the newest message when the consumer was asked for. */
  readonly newest: number;
  readonly timer: Timer;
  /** Calls the store for somebody; rejects with BusError. */
  readonly stored: <T>(action: string, call: () => Promise<T>) => Promise<T>;
}

const ONE = { messages: 1, bytes: 0 };

/** A consumer as `Bus.consume` says. */
export async function openConsumer(request: ConsumeRequest, source: ConsumerSource): Promise<Consumer> {
  const { store, logs, newest } = source;
  const { from, skipDeleted } = request;
  const filter = filterOf(request, source);
  const first = from.kind === "newest" ? newest + 1 : await firstSequence(from, filter, source);
  return new Consumer(
    store,
    logs.arrivals,
    filter,
    {
      fromHeadId: from.kind === "head" ? Math.max(1, from.headId) : 1,
      createdFromMs: from.kind === "time" ? from.ms : 0,
      skipDeleted,
    },
    source.timer,
    first,
  );
}

function filterOf({ patterns, origins, allowed }: ConsumeRequest, { node, logs }: ConsumerSource): LogFilter {
  for (const [field, values] of [["start.patterns", patterns], ["start.origins", origins]] as const) {
    if (values.length <= MAX_CONSUMER_PATTERNS) continue;
    throw new BusError(
      "invalid_argument",
      `Cannot consume: ${field} has ${values.length} entries, limit is ${MAX_CONSUMER_PATTERNS}`,
      { field },
    );
  }
  if (patterns.length === 0) {
    throw new BusError(
      "invalid_argument",
      'Cannot consume: there is no pattern; give at least one, such as ">"',
      {
        field: "start.patterns",
      },
    );
  }
  return new LogFilter(
    logs,
    patterns.map((pattern, at) => new TopicPattern(pattern, `start.patterns[${at}]`)),
    origins.length === 0
      ? undefined
      : origins.map((origin, at) => resolveNode(origin, node, `start.origins[${at}]`)),
    allowed,
  );
}

/** The sequence of a message that no wanted one lies before. */
async function firstSequence(
  from: ConsumeFrom,
  filter: LogFilter,
  { store, stored, logs }: ConsumerSource,
): Promise<number> {
  switch (from.kind) {
    case "oldest":
    case "newest":
    case "time":
      return 1;
    case "cursor": {
      const cursor = parseCursor(from.cursor);
      if (await stored("consume", () => isKnown(cursor, store))) return cursor.sequence + 1;
      throw new BusError(
        "failed_precondition",
        "Cannot consume: the cursor is of another data directory, or of messages that a restored backup does not have; " +
          "begin at a position, a head or a time",
        { field: "start.cursor" },
      );
    }
    case "head": {
      const { headId } = from;
      const newest = logs.arrivals.sequence;
      const wanted = headId <= 1 ? undefined : filter.existing(MAX_LOGS_LOOKED_UP);
      if (wanted === undefined) return 1;
      let first = newest + 1;
      for (const { topic, origin } of wanted) {
        const [message] = await stored("consume", () => store.read(topic, origin, headId, ONE));
        if (message !== undefined) first = Math.min(first, message.sequence);
      }
      return first;
    }
  }
}
