import {
  isOtherIncarnation,
  LogMap,
  type MarkedRange,
  type NodeName,
  type ReplicatedMessage,
  type Store,
} from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { readDeleteMarker } from "./delete_marker.ts";
import { type DeletionLine, type DeletionSize, fits } from "./deletion_line.ts";
import { BusError } from "./error.ts";
import type { BusLimits } from "./limits.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { DELETE_TOPIC, formatNode, isName, isSameNode } from "./names.ts";
import type { ReplicateRequest } from "./requests.ts";

/** Whose messages are copied. */
export type CopiedLog = Pick<ReplicateRequest, "topic" | "incarnation"> & { readonly origin: NodeName };

/** What copying delete markers needs of its bus. */
export interface MarkerPorts {
  readonly store: Store;
  readonly logs: Logs;
  readonly admission: Admission;
  /** Shared with what else deletes. */
  readonly line: DeletionLine;
  readonly limits: BusLimits;
  /** Stores messages with what they delete in one transaction; settles with the log's head. */
  readonly commit: (
    copy: CopiedLog,
    messages: readonly ReplicatedMessage[],
    deletes: readonly MarkedRange[],
  ) => Promise<number>;
}

/** What a copied marker deletes. */
interface CopiedMarker {
  readonly message: ReplicatedMessage;
  readonly range: MarkedRange;
}

/** The next part of what a marker deletes of what is stored. */
interface Part extends DeletionSize {
  readonly to: number;
  /** Whether nothing stored is left behind it. */
  readonly last: boolean;
}

/** How far a log was erased ahead of its marker. */
interface Erased {
  readonly log: Log | undefined;
  readonly departures: number | undefined;
  readonly to: number;
}

/** Markers that are stored in one transaction. */
interface Slice {
  heads: number;
  bytes: number;
  /** By the markers' heads. */
  readonly erased: Map<number, Erased>;
}

/**
 * Stores copied delete markers together with what they delete, a slice at a time, so that other writes have their turn in
 * between. A marker that deletes more than one slice is stored with the last part of it, and the others are erased
 * before: whatever ends this in the middle, the marker is copied again and erases what is left. Until then readers see
 * what its origin deleted as deleted, and not yet why.
 */
export class MarkerReplicator {
  readonly #ports: MarkerPorts;
  /** The last batch of each origin. */
  readonly #last = new LogMap<Promise<void>>();

  constructor(ports: MarkerPorts) {
    this.#ports = ports;
  }

  /** Stores a batch behind those of its origin that came before. Settles with the log's head. */
  async replicate(action: string, copy: CopiedLog, messages: readonly ReplicatedMessage[]): Promise<number> {
    const { origin } = copy;
    const before = this.#last.get(DELETE_TOPIC, origin) ?? Promise.resolve();
    const stored = before.then(() => this.#storeAll(action, copy, messages));
    const settled = stored.then(() => {}, () => {});
    this.#last.set(DELETE_TOPIC, origin, settled);
    try {
      return await stored;
    } finally {
      if (this.#last.get(DELETE_TOPIC, origin) === settled) this.#last.delete(DELETE_TOPIC, origin);
    }
  }

  async #storeAll(
    action: string,
    copy: CopiedLog,
    messages: readonly ReplicatedMessage[],
  ): Promise<number> {
    const { line, limits } = this.#ports;
    const firstHead = messages[0]?.headId ?? 1;
    let slice: Slice = { heads: 0, bytes: 0, erased: new Map() };
    let begin = 0;
    let head = 0;
    const store = async (end: number) => {
      const some = messages.slice(begin, end);
      const { erased } = slice;
      if (some.length > 0) head = await line.run(slice, () => this.#storeSlice(action, copy, some, erased));
      slice = { heads: 0, bytes: 0, erased: new Map() };
      begin = end;
    };
    const markers = this.#markers(copy, messages);
    const parts = await Promise.all(markers.map(({ range }) => this.#part(copy, range, range.from)));
    for (const [at, marker] of markers.entries()) {
      const { headId } = marker.message;
      let part = parts[at] ?? await this.#part(copy, marker.range, marker.range.from);
      if (
        !part.last ||
        (slice.heads > 0 && !fits(limits, slice.heads + part.heads, slice.bytes + part.bytes))
      ) {
        // Those before it first: whether its log goes on with this marker is known by them.
        await store(headId - firstHead);
      }
      if (!part.last) {
        const erased = await this.#eraseAhead(action, copy, marker, part);
        slice.erased.set(headId, erased);
        part = await this.#part(copy, marker.range, erased.to + 1);
      }
      slice.heads += part.heads;
      slice.bytes += part.bytes;
    }
    await store(messages.length);
    return head;
  }

  /** Erases what a marker deletes, part by part, but for the last one, or until the log is another. Says how far it came. */
  async #eraseAhead(action: string, copy: CopiedLog, marker: CopiedMarker, part: Part): Promise<Erased> {
    const { store, logs, line } = this.#ports;
    const { topic } = marker.range;
    const { origin } = copy;
    const log = logs.get(topic, origin);
    const departures = log?.departures;
    let next = marker.range.from;
    for (; !part.last; part = await this.#part(copy, marker.range, next)) {
      const [from, { to }] = [next, part];
      const goesOn = await line.run(part, async () => {
        this.#ports.admission.checkOpen(action);
        const isNext = (logs.get(DELETE_TOPIC, origin)?.head ?? 0) === marker.message.headId - 1;
        if (!isNext || !isSameLog({ log, departures, to }, logs.get(topic, origin))) return false;
        this.#requireOwn(copy, marker);
        await store.eraseRange(topic, origin, from, to, copy.incarnation);
        if (log !== undefined && !isOtherIncarnation(log.incarnation, copy.incarnation)) {
          log.markDeleted(from, to);
        }
        return true;
      });
      if (!goesOn) break;
      next = to + 1;
    }
    return { log, departures, to: next - 1 };
  }

  /** A slice whose turn it is, which may be long after the batch came. */
  async #storeSlice(
    action: string,
    copy: CopiedLog,
    messages: readonly ReplicatedMessage[],
    erased: ReadonlyMap<number, Erased>,
  ): Promise<number> {
    const { admission, logs, commit } = this.#ports;
    admission.checkOpen(action);
    // The logs may be others by now.
    const deletes = this.#markers(copy, messages).map(({ message, range }) => {
      const done = erased.get(message.headId);
      const same = done !== undefined && isSameLog(done, logs.get(range.topic, copy.origin));
      return same ? { ...range, erasedTo: done.to } : range;
    });
    return await commit(copy, messages, deletes);
  }

  /** What a marker deletes of what is stored, from a head on. */
  async #part({ origin }: CopiedLog, { topic, to }: MarkedRange, from: number): Promise<Part> {
    const { store, logs, limits } = this.#ports;
    const stored = Math.min(to, logs.get(topic, origin)?.head ?? 0);
    if (from > stored) return { to: stored, heads: 0, bytes: 0, last: true };
    const most = Math.min(stored, from + limits.deletedHeads - 1);
    const extent = await store.extent(topic, origin, from, most, limits.deletedBytes);
    return { ...extent, heads: extent.to - from + 1, last: extent.to === stored };
  }

  /** The markers among messages that are not stored yet; throws like {@link requireMarkers}. */
  #markers(copy: CopiedLog, messages: readonly ReplicatedMessage[]): readonly CopiedMarker[] {
    const { logs } = this.#ports;
    const head = logs.get(DELETE_TOPIC, copy.origin)?.head ?? 0;
    return markersOf(logs, copy, messages.filter(({ headId }) => headId > head));
  }

  #requireOwn(copy: CopiedLog, { message }: CopiedMarker): void {
    markersOf(this.#ports.logs, copy, [message]);
  }
}

/**
 * What delete markers delete. Throws failed_precondition where a message is none, or deletes what is not its origin's, or
 * from another log than the one that was copied.
 */
export function markersOf(
  logs: Logs,
  { origin, incarnation }: Pick<CopiedLog, "origin" | "incarnation">,
  messages: readonly ReplicatedMessage[],
): readonly CopiedMarker[] {
  const refuse = (headId: number, reason: string) => {
    const what = `Cannot copy "${DELETE_TOPIC}" of ${formatNode(origin)}: message ${headId}`;
    return new BusError("failed_precondition", `${what} ${reason}`);
  };
  return messages.filter(({ deleted }) => !deleted).flatMap((message) => {
    const { headId, payload } = message;
    const marker = readDeleteMarker(payload);
    if (marker === undefined) throw refuse(headId, "is no delete marker");
    const { topic, from, to } = marker;
    if (!isSameNode(marker.origin, origin)) {
      const whose = formatNode(marker.origin);
      throw refuse(headId, `would delete messages of ${whose}, which only that node may`);
    }
    // There is no such log here, nor will there be one: nothing is to be remembered for it.
    if (!isName(topic)) return [];
    const copied = logs.get(topic, origin)?.incarnation ?? "";
    if (isOtherIncarnation(copied, incarnation)) {
      throw refuse(
        headId,
        `deletes from another log than the "${topic}" that was copied here: the origin began anew, and nobody has ` +
          "resolved the fork",
      );
    }
    return [{ message, range: { topic, from, to } }];
  });
}

/** Whether a log is the one that was erased, and was not set aside since. */
function isSameLog({ log, departures }: Erased, now: Log | undefined): boolean {
  return log === now && departures === now?.departures;
}
