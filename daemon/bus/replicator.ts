import {
  type DeletedRange,
  entriesOfHeaders,
  isOtherIncarnation,
  type MarkedRange,
  type NodeName,
  type Replicated,
  type ReplicatedMessage,
  type Store,
  type StoredMessage,
} from "../store/store.ts";
import type { Admission } from "./admission.ts";
import type { DeletionLine } from "./deletion_line.ts";
import { BusError, ConflictError, toBusError } from "./error.ts";
import type { FifoForwarding } from "./fifo_forwarding.ts";
import { canonicalHeaders } from "./headers.ts";
import { type BusLimits, FORWARDING_HEADER_BYTES } from "./limits.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { type CopiedLog, MarkerReplicator, markersOf } from "./marker_replicator.ts";
import { Message } from "./message.ts";
import { checkName, checkNode, DELETE_TOPIC, isSameNode, RESERVED_TOPIC_PREFIX } from "./names.ts";
import { pendingBytes } from "./pending_publish.ts";
import type { ReplicateRequest } from "./requests.ts";

/** Ids are UUIDs; of what else a peer may have made, this goes over the wire as it is. */
const ASCII = /^[\x20-\x7e]+$/;
const NO_BYTES = new Uint8Array();

/** Takes copies of other nodes' logs to the store and to the subscribers. */
export class Replicator {
  readonly #store: Store;
  readonly #node: NodeName;
  readonly #logs: Logs;
  readonly #admission: Admission;
  readonly #fifo: FifoForwarding;
  readonly #markers: MarkerReplicator;
  readonly #limits: BusLimits;

  constructor(
    store: Store,
    node: NodeName,
    logs: Logs,
    admission: Admission,
    fifo: FifoForwarding,
    line: DeletionLine,
    limits: BusLimits,
  ) {
    this.#store = store;
    this.#node = node;
    this.#logs = logs;
    this.#admission = admission;
    this.#fifo = fifo;
    this.#limits = limits;
    this.#markers = new MarkerReplicator({
      store,
      logs,
      admission,
      line,
      limits,
      commit: (copy, messages, deletes) => this.#commit(copy, messages, deletes),
    });
  }

  /** See `Bus.replicate`. */
  async replicate(request: ReplicateRequest): Promise<number> {
    const { topic, messages, adopt = false } = request;
    const action = `copy "${topic}"`;
    this.#admission.checkOpen(action);
    checkName(topic, "topic");
    checkNode(request.origin, "origin");
    const own = isSameNode(request.origin, this.#node);
    // One object per log: maps by node are quick to find the one they know.
    const origin = own ? this.#node : this.#logs.get(topic, request.origin)?.origin ?? request.origin;
    const first = messages[0];
    if (first === undefined) return this.#logs.get(topic, origin)?.head ?? 0;
    const checked = messages.map((message, at) => this.#checked(topic, message, first.headId + at));
    if (own && !adopt) return await this.#compare(topic, checked);
    const copy = { topic, origin, incarnation: request.incarnation };
    if (topic === DELETE_TOPIC) await this.#requireMarkers(copy, checked);
    const bytes = checked.reduce((sum, { payload, headers }) => sum + pendingBytes(payload, headers), 0);
    this.#admission.enter(bytes);
    try {
      return topic === DELETE_TOPIC
        ? await this.#markers.replicate(action, copy, checked)
        : await this.#commit(copy, checked, []);
    } catch (error) {
      throw toBusError(action, error);
    } finally {
      this.#admission.exit(bytes);
    }
  }

  /** Settles with the log's head. */
  async #commit(
    copy: CopiedLog,
    messages: readonly ReplicatedMessage[],
    deletes: readonly MarkedRange[],
  ): Promise<number> {
    const { topic, origin } = copy;
    const enqueues = this.#fifo.enqueuesOf(topic, origin, messages);
    const replicated = await this.#store.replicate({ ...copy, messages, deletes, enqueues });
    this.#committed(copy, messages, deletes, replicated);
    return replicated.headId;
  }

  #checked(topic: string, message: ReplicatedMessage, headId: number): ReplicatedMessage {
    const { id, createdAtMs, payload, deleted } = message;
    const place = `message ${headId} of "${topic}"`;
    if (message.headId !== headId) {
      throw new BusError(
        "invalid_argument",
        `Cannot copy "${topic}": head ${message.headId} stands where ${headId} belongs`,
      );
    }
    checkName(id, `the id of ${place}`);
    if (!ASCII.test(id)) {
      throw new BusError("invalid_argument", `Cannot copy ${place}: its id is no printable ASCII`);
    }
    if (!Number.isSafeInteger(createdAtMs) || createdAtMs < 0) {
      throw new BusError("invalid_argument", `Cannot copy ${place}: its time is no number of milliseconds`);
    }
    if (deleted) return { headId, id, createdAtMs, payload: NO_BYTES, headers: NO_BYTES, deleted };
    const headers = this.#headersOf(message, place);
    // What the bus itself adds to forwarded messages comes on top of what applications may have.
    const more = topic.startsWith(RESERVED_TOPIC_PREFIX) ? FORWARDING_HEADER_BYTES : 0;
    const { messageBytes, headerBytes } = this.#limits;
    if (payload.length + headers.length > messageBytes + more || headers.length > headerBytes + more) {
      throw new BusError(
        "resource_exhausted",
        `Cannot copy ${place}: payload and headers are ${payload.length} and ${headers.length} bytes, limits are ` +
          `${messageBytes} together and ${headerBytes}`,
      );
    }
    return { headId, id, createdAtMs, payload, headers, deleted };
  }

  #headersOf({ headers }: ReplicatedMessage, place: string): Uint8Array {
    try {
      return canonicalHeaders(headers);
    } catch (error) {
      throw new BusError("invalid_argument", `Cannot copy ${place}: its headers can't be read`, {
        cause: error,
      });
    }
  }

  /** Refuses new messages that are no markers, or wrong ones. Where those that are stored differ, that is a conflict. */
  async #requireMarkers(copy: CopiedLog, messages: readonly ReplicatedMessage[]): Promise<void> {
    const log = this.#logs.get(DELETE_TOPIC, copy.origin);
    const head = log?.head ?? 0;
    try {
      markersOf(this.#logs, copy, messages.filter(({ headId }) => headId > head));
    } catch (error) {
      const stored = messages.filter(({ headId }) => headId <= head);
      if (log !== undefined && stored.length > 0) await this.#compareStored(log, stored);
      throw error;
    }
  }

  /** What comes back of our own log must be what we have. */
  async #compare(topic: string, messages: readonly ReplicatedMessage[]): Promise<number> {
    const log = this.#logs.get(topic, this.#node);
    const head = log?.head ?? 0;
    const last = messages.at(-1)?.headId ?? 0;
    if (log === undefined || last > head) {
      throw new ConflictError(
        `Cannot copy "${topic}": the peer has message ${last} of this node, which itself has ${head}; ` +
          "was an older copy of its data restored?",
      );
    }
    await this.#compareStored(log, messages);
    return head;
  }

  /** Rejects with ConflictError when one of the messages, all of which the log has, differs. */
  async #compareStored(log: Log, messages: readonly ReplicatedMessage[]): Promise<void> {
    for (let at = 0; at < messages.length;) {
      const page = await log.storedPage(
        messages[at]?.headId ?? 1,
        messages.length - at,
        this.#limits.pageBytes,
      );
      for (const mine of page) {
        const theirs = messages[at++];
        if (theirs !== undefined && !isSameMessage(mine, theirs)) throw different(log.topic, mine.headId);
      }
    }
  }

  #committed(
    { topic, origin, incarnation }: CopiedLog,
    messages: readonly ReplicatedMessage[],
    deletes: readonly DeletedRange[],
    { headId, appended, firstSequence, deletedHeads, newlyDeletedHeads }: Replicated,
  ): void {
    const log = this.#logs.getOrAdd(topic, origin);
    for (const head of newlyDeletedHeads) log.markDeleted(head, head);
    for (const { topic: deleted, from, to } of deletes) {
      const marked = this.#logs.get(deleted, origin);
      if (marked !== undefined && !isOtherIncarnation(marked.incarnation, incarnation)) {
        marked.markDeleted(from, to);
      }
    }
    if (incarnation !== "") log.incarnation = incarnation;
    if (appended === 0) return;
    const covered = new Set(deletedHeads);
    const firstHead = headId - appended + 1;
    for (const message of messages) {
      if (message.headId < firstHead) continue;
      const deleted = message.deleted || covered.has(message.headId);
      log.commit(
        new Message(
          topic,
          origin,
          message.headId,
          firstSequence + message.headId - firstHead,
          message.id,
          message.createdAtMs,
          deleted ? NO_BYTES : message.payload,
          deleted ? NO_BYTES : message.headers,
          deleted,
        ),
      );
    }
    log.wake();
    this.#fifo.replicated(log);
  }
}

function isSameMessage(mine: Message | StoredMessage, theirs: ReplicatedMessage): boolean {
  if (mine.id !== theirs.id || mine.createdAtMs !== theirs.createdAtMs) return false;
  if (mine.deleted || theirs.deleted) return true;
  return isSameBytes(mine.payload, theirs.payload) &&
    isSameBytes(canonicalHeaders(entriesOfHeaders(mine.headers)), entriesOfHeaders(theirs.headers));
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

function different(topic: string, headId: number): ConflictError {
  return new ConflictError(
    `Cannot copy "${topic}": message ${headId} of the peer is another than the one stored here; nothing was changed`,
  );
}
