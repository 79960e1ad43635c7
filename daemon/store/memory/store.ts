import { closedError, noSuchRange } from "../error.ts";
import { LogMap } from "../log_map.ts";
import type {
  Appended,
  Deletion,
  FifoMessage,
  LogHead,
  NewFifoMessage,
  NewMessage,
  NodeName,
  PeerSyncState,
  ReadLimits,
  Store,
  StoredMessage,
} from "../store.ts";

interface MemoryLog {
  readonly topic: string;
  readonly origin: NodeName;
  /** The message with head n is at n - 1. */
  readonly messages: StoredMessage[];
}

interface MemoryQueue {
  lastSequence: number;
  readonly waiting: FifoMessage[];
}

const NO_BYTES = new Uint8Array();

/** The store without a file: the same promises, except that closing it forgets everything. */
export class MemoryStore implements Store {
  readonly #logs = new LogMap<MemoryLog>();
  readonly #queues = new Map<string, MemoryQueue>();
  readonly #states: PeerSyncState[] = [];
  #lastSequence = 0;
  #closed = false;

  append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    return this.#call(() => batch.map((message) => this.#append(message)));
  }

  read(topic: string, origin: NodeName, fromHeadId: number, limits: ReadLimits): Promise<StoredMessage[]> {
    return this.#call(() => {
      const page: StoredMessage[] = [];
      const messages = this.#logs.get(topic, origin)?.messages ?? [];
      let bytes = 0;
      for (let at = fromHeadId - 1; at < messages.length && page.length < limits.messages; at++) {
        const message = messages[at];
        if (message === undefined) break;
        bytes += message.payload.length + message.headers.length;
        if (bytes > limits.bytes && page.length > 0) break;
        page.push(message);
      }
      return page;
    });
  }

  heads(): Promise<readonly LogHead[]> {
    return this.#call(() =>
      [...this.#logs.values()].map(({ topic, origin, messages }) => ({
        topic,
        origin,
        headId: messages.length,
      }))
    );
  }

  deleteRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Promise<Deletion> {
    return this.#call(() => {
      const messages = this.#logs.get(topic, origin)?.messages ?? [];
      if (from < 1 || from > to || to > messages.length) throw noSuchRange(from, to, messages.length);
      let deletedCount = 0;
      for (let at = from - 1; at < to; at++) {
        const message = messages[at];
        if (message === undefined || message.deleted) continue;
        messages[at] = { ...message, payload: NO_BYTES, headers: NO_BYTES, deleted: true };
        deletedCount++;
      }
      return { deletedCount, marker: this.#append(marker), erased: true };
    });
  }

  enqueueFifo(message: NewFifoMessage): Promise<number> {
    return this.#call(() => {
      let queue = this.#queues.get(message.queue);
      if (queue === undefined) this.#queues.set(message.queue, queue = { lastSequence: 0, waiting: [] });
      const sequence = ++queue.lastSequence;
      queue.waiting.push({ ...message, sequence, attempts: 0 });
      return sequence;
    });
  }

  peekFifo(queue: string): Promise<FifoMessage | undefined> {
    return this.#call(() => this.#queues.get(queue)?.waiting[0]);
  }

  ackFifo(queue: string, id: string): Promise<boolean> {
    return this.#call(() => {
      const waiting = this.#queues.get(queue)?.waiting;
      if (waiting?.[0]?.id !== id) return false;
      waiting.shift();
      return true;
    });
  }

  rejectFifo(queue: string, id: string): Promise<boolean> {
    return this.#call(() => {
      const waiting = this.#queues.get(queue)?.waiting;
      const front = waiting?.[0];
      if (waiting === undefined || front?.id !== id) return false;
      waiting[0] = { ...front, attempts: front.attempts + 1 };
      return true;
    });
  }

  peerSyncStates(): Promise<readonly PeerSyncState[]> {
    return this.#call(() => [...this.#states].sort(comparePeerSyncStates));
  }

  recordPeerSyncState(state: PeerSyncState): Promise<void> {
    return this.#call(() => {
      const known = this.#states.findIndex((other) => comparePeerSyncStates(other, state) === 0);
      if (known < 0) this.#states.push(state);
      else this.#states[known] = state;
    });
  }

  check(): Promise<void> {
    return this.#call(() => {});
  }

  close(): Promise<void> {
    this.#closed = true; // every call before has settled: they apply at once
    return Promise.resolve();
  }

  /** A call applies at once, so calls apply in their order; only its result comes later, as from a disk. */
  #call<T>(apply: () => T): Promise<T> {
    if (this.#closed) return Promise.reject(closedError());
    return new Promise((resolve) => resolve(apply())); // what `apply` throws rejects it
  }

  #append({ topic, origin, id, createdAtMs, payload, headers }: NewMessage): Appended {
    let log = this.#logs.get(topic, origin);
    if (log === undefined) this.#logs.set(topic, origin, log = { topic, origin, messages: [] });
    const headId = log.messages.length + 1;
    const sequence = ++this.#lastSequence;
    log.messages.push({ headId, sequence, id, createdAtMs, payload, headers, deleted: false });
    return { headId, sequence };
  }
}

/** By peer, topic and origin; 0 for states of the same. */
function comparePeerSyncStates(a: PeerSyncState, b: PeerSyncState): number {
  const pairs = [
    [a.peer, b.peer],
    [a.topic, b.topic],
    [a.origin.tenantId, b.origin.tenantId],
    [a.origin.blName, b.origin.blName],
    [a.origin.deviceId, b.origin.deviceId],
  ] as const;
  for (const [left, right] of pairs) if (left !== right) return left < right ? -1 : 1;
  return 0;
}
