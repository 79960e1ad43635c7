import type { NodeName, Store } from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { encodeDeleteMarker } from "./delete_marker.ts";
import type { DeletionLine } from "./deletion_line.ts";
import { BusError, toBusError } from "./error.ts";
import type { BusLimits } from "./limits.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { Message } from "./message.ts";
import { DELETE_TOPIC } from "./names.ts";
import type { UuidGenerator } from "./uuid.ts";

/** What deleting needs of its bus. */
export interface DeletionPorts {
  readonly store: Store;
  readonly node: NodeName;
  readonly logs: Logs;
  readonly admission: Admission;
  /** Shared with what else deletes. */
  readonly line: DeletionLine;
  readonly limits: BusLimits;
  readonly uuids: UuidGenerator;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  /** Hands over to the store what waits to be published. */
  readonly flush: () => void;
}

const NO_BYTES = new Uint8Array();

/**
 * Deletes ranges of the node's own logs: a slice of `BusLimits.deletedHeads` and `deletedBytes` at a time, each with its
 * marker in one transaction, so that other calls have their turn in between.
 */
export class RangeDeleter {
  readonly #ports: DeletionPorts;

  constructor(ports: DeletionPorts) {
    this.#ports = ports;
  }

  /** Settles with the number of messages newly marked. Rejects with BusError; what is deleted by then stays deleted. */
  async delete(log: Log, from: number, to: number): Promise<number> {
    const action = `delete from "${log.topic}"`;
    const { departures } = log;
    let count = 0;
    for (let next = from; next <= to;) {
      try {
        const { last, deletedCount } = await this.#deleteNext(action, log, departures, next, to);
        count += deletedCount;
        next = last + 1;
      } catch (error) {
        const failure = toBusError(action, error);
        throw next === from ? failure : incomplete(failure, from, next - 1, to);
      }
    }
    return count;
  }

  /** Deletes the slice that begins at a head, when it is its turn. */
  async #deleteNext(
    action: string,
    log: Log,
    departures: number,
    from: number,
    to: number,
  ): Promise<{ readonly last: number; readonly deletedCount: number }> {
    const { store, node, admission, line, limits } = this.#ports;
    admission.checkOpen(action);
    admission.enter(0);
    try {
      const most = Math.min(to, from + limits.deletedHeads - 1);
      const { to: last, bytes } = await store.extent(log.topic, node, from, most, limits.deletedBytes);
      const deletedCount = await line.run({ heads: last - from + 1, bytes }, async () => {
        admission.checkOpen(action);
        if (log.departures !== departures) {
          throw new BusError(
            "unavailable",
            `Cannot ${action}: the log was set aside meanwhile; begin anew`,
          );
        }
        return await this.#deleteSlice(log, from, last);
      });
      return { last, deletedCount };
    } finally {
      admission.exit(0);
    }
  }

  async #deleteSlice(log: Log, from: number, to: number): Promise<number> {
    const { store, node, logs, uuids, now, flush } = this.#ports;
    flush(); // calls reach the store in the order in which they were made
    const createdAtMs = now();
    const marker = {
      topic: DELETE_TOPIC,
      origin: node,
      id: uuids.next(createdAtMs),
      createdAtMs,
      payload: encodeDeleteMarker(log.topic, node, from, to, createdAtMs),
      headers: NO_BYTES,
    };
    const { marker: { headId, sequence }, deletedCount, erased } = await store.deleteRange(
      log.topic,
      node,
      from,
      to,
      marker,
    );
    log.markDeleted(from, to);
    const markers = logs.getOrAdd(DELETE_TOPIC, node);
    const { id, payload } = marker;
    markers.commit(
      new Message(DELETE_TOPIC, node, headId, sequence, id, createdAtMs, payload, NO_BYTES, false),
    );
    markers.wake();
    if (erased) return deletedCount;
    throw new BusError(
      "resource_exhausted",
      `Cannot erase from "${log.topic}": heads ${from} to ${to} are deleted, but the node has no space to erase their bytes; ` +
        "it keeps trying: free some space",
    );
  }
}

/** The failure of a slice behind others that are done. */
function incomplete({ code, message, cause }: BusError, from: number, done: number, to: number): BusError {
  return new BusError(
    code,
    `${message}. Before that, heads ${from} to ${done} were deleted; delete ${from} to ${to} again for the rest`,
    { cause },
  );
}
