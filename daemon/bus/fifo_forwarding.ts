import type { FifoMessage, NewFifoMessage, NodeName, ReplicatedMessage } from "../store/store.ts";
import { BusError } from "./error.ts";
import { decodeHeaders, encodeHeaders } from "./headers.ts";
import { NAME_BYTES } from "./limits.ts";
import type { Log } from "./log.ts";
import type { Logs } from "./logs.ts";
import { FIFO_RECEIVED_TOPIC_PREFIX, FIFO_TOPIC_PREFIX, isSameNode } from "./names.ts";
import type { Publisher } from "./publisher.ts";
import type { Timer } from "./timer.ts";
import type { UuidGenerator } from "./uuid.ts";

/** What a forwarded message is beside its payload and headers: headers of the log's message. */
const QUEUE = "$msgbus.queue";
const TOPIC = "$msgbus.topic";
const SOURCE = ["$msgbus.source.tenant_id", "$msgbus.source.bl_name", "$msgbus.source.device_id"] as const;
const RESERVED_HEADER_PREFIX = "$msgbus.";

/** Milliseconds in which receipts, and deletions of what was received, gather. */
const GATHER_MS = 200;
/** Milliseconds between two attempts at most where the store fails: each time twice as long. */
const MAX_RETRY_MS = 10_000;

const NO_BYTES = new Uint8Array();
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What forwarding needs of the bus. */
export interface ForwardingPorts {
  readonly node: NodeName;
  readonly logs: Logs;
  readonly publisher: Publisher;
  readonly uuids: UuidGenerator;
  /** Milliseconds since the Unix epoch. */
  readonly now: () => number;
  readonly timer: Timer;
  /** Deletes messages of a log of this node. */
  readonly deleteStored: (log: Log, from: number, to: number) => Promise<unknown>;
}

/**
 * Takes queue messages to the node they are for. The way there is a log of ours like any other, which peers copy, also
 * past nodes that are not concerned: `$msgbus.fifo.<target>`. The target enqueues a message in the transaction that
 * stores it, which happens once, and says in a log of its own how far it came, `$msgbus.fifo-received.<source>`; then
 * the message is deleted here, and by that everywhere.
 */
export class FifoForwarding {
  readonly #ports: ForwardingPorts;
  readonly #incoming: string;
  readonly #receipts: string;
  /** Logs of others for this node, and receipts of others for it, that were heard of and not yet acted upon. */
  readonly #due = new Set<Log>();
  #working = false;
  /** How often in a row something was left. */
  #failures = 0;
  #cancelTimer: (() => void) | undefined;
  #closed = false;

  constructor(ports: ForwardingPorts) {
    this.#ports = ports;
    this.#incoming = FIFO_TOPIC_PREFIX + nodeKey(ports.node);
    this.#receipts = FIFO_RECEIVED_TOPIC_PREFIX + nodeKey(ports.node);
  }

  /** Takes up what an earlier run left. */
  start(): void {
    for (const log of this.#ports.logs.all()) {
      if (this.#concerns(log) && log.head > 0) this.#due.add(log);
    }
    if (this.#due.size > 0) this.#schedule(0);
  }

  /** Does nothing more; what is left is taken up by the next run. */
  close(): void {
    this.#closed = true;
    this.#cancelTimer?.();
  }

  /** Sends a message on its way. Settles when it is durable here. Rejects with BusError. */
  async forward(message: NewFifoMessage): Promise<FifoMessage> {
    const topic = FIFO_TOPIC_PREFIX + nodeKey(message.target);
    if (encoder.encode(topic).length > NAME_BYTES) {
      throw new BusError("invalid_argument", "Cannot enqueue: the target's name is too long; shorten it", {
        field: "target",
      });
    }
    const { queue, source, id, createdAtMs, payload } = message;
    const headers = decodeHeaders(message.headers);
    const reserved = Object.keys(headers).find((name) => name.startsWith(RESERVED_HEADER_PREFIX));
    if (reserved !== undefined) {
      throw new BusError(
        "invalid_argument",
        `Cannot enqueue: header "${reserved}": names that begin with ${RESERVED_HEADER_PREFIX} are reserved; use another`,
        { field: "headers" },
      );
    }
    headers[QUEUE] = queue;
    headers[TOPIC] = message.topic;
    if (!isSameNode(source, this.#ports.node)) {
      [source.tenantId, source.blName, source.deviceId].forEach((part, at) =>
        headers[SOURCE[at] ?? ""] = part
      );
    }
    const { publisher, node } = this.#ports;
    const stored = await publisher.publish(topic, node, id, createdAtMs, payload, encodeHeaders(headers));
    return { ...message, sequence: stored.headId, attempts: 0 };
  }

  /** The messages for queues of this node among those of another node's log. Throws BusError. */
  enqueuesOf(
    topic: string,
    origin: NodeName,
    messages: readonly ReplicatedMessage[],
  ): { readonly headId: number; readonly message: NewFifoMessage }[] {
    if (topic !== this.#incoming || isSameNode(origin, this.#ports.node)) return [];
    return messages.filter(({ deleted }) => !deleted).map((message) => ({
      headId: message.headId,
      message: this.#read(origin, message),
    }));
  }

  /** To be told of what another node's log got. */
  replicated(log: Log): void {
    if (!this.#concerns(log)) return;
    this.#due.add(log);
    this.#schedule(GATHER_MS);
  }

  #concerns({ topic, origin }: Log): boolean {
    return (topic === this.#incoming || topic === this.#receipts) && !isSameNode(origin, this.#ports.node);
  }

  #read(origin: NodeName, { headId, id, createdAtMs, payload, headers }: ReplicatedMessage): NewFifoMessage {
    const all = decodeHeaders(headers);
    const { [QUEUE]: queue, [TOPIC]: topic } = all;
    if (queue === undefined || topic === undefined) {
      throw new BusError(
        "failed_precondition",
        `Cannot copy "${this.#incoming}": message ${headId} names no queue and topic`,
      );
    }
    const [tenantId, blName, deviceId] = SOURCE.map((name) => all[name]);
    const source = tenantId === undefined || blName === undefined || deviceId === undefined
      ? origin
      : { tenantId, blName, deviceId };
    for (const name of Object.keys(all)) if (name.startsWith(RESERVED_HEADER_PREFIX)) delete all[name];
    const target = this.#ports.node;
    return { queue, topic, source, target, id, createdAtMs, payload, headers: encodeHeaders(all) };
  }

  #schedule(ms: number): void {
    if (this.#closed || this.#working || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#ports.timer(ms, () => {
      this.#cancelTimer = undefined;
      void this.#work();
    });
  }

  async #work(): Promise<void> {
    this.#working = true;
    const due = [...this.#due];
    this.#due.clear();
    let failed = false;
    for (const log of due) {
      try {
        if (log.topic === this.#incoming) await this.#acknowledge(log);
        else await this.#forget(log);
      } catch {
        // The store failed or the node stops: it says so itself, and what is left is taken up later.
        this.#due.add(log);
        failed = true;
      }
    }
    this.#working = false;
    this.#failures = failed ? this.#failures + 1 : 0;
    const ms = GATHER_MS * 2 ** Math.min(this.#failures, 16);
    if (this.#due.size > 0) this.#schedule(Math.min(ms, MAX_RETRY_MS));
  }

  /** Says how far a log for this node was enqueued. */
  async #acknowledge(log: Log): Promise<void> {
    const { node, logs, publisher, uuids, now } = this.#ports;
    const topic = FIFO_RECEIVED_TOPIC_PREFIX + nodeKey(log.origin);
    const [last] = await log.storedPage(log.head, 1, 1);
    if (last === undefined) return;
    const before = logs.get(topic, node);
    const said = before && await lastReceipt(before);
    if (said?.headId === last.headId && said.messageId === last.id) return;
    const at = now();
    const payload = encoder.encode(JSON.stringify({ head_id: last.headId, message_id: last.id }));
    await publisher.publish(topic, node, uuids.next(at), at, payload, NO_BYTES);
  }

  /** Deletes what the target of a log of ours has received. */
  async #forget(receipts: Log): Promise<void> {
    const { node, logs, deleteStored } = this.#ports;
    const log = logs.get(FIFO_TOPIC_PREFIX + nodeKey(receipts.origin), node);
    if (log === undefined) return;
    const receipt = await lastReceipt(receipts);
    if (receipt === undefined) return;
    const received = Math.min(receipt.headId, log.head);
    const [last] = received > 0 ? await log.storedPage(received, 1, 1) : [];
    if (last === undefined || last.deleted) return;
    // The target received another log of ours, before the data was lost or an older copy restored: nothing of this one.
    if (receipt.messageId !== undefined && receipt.messageId !== last.id) return;
    await deleteStored(log, await this.#firstWaiting(log, received), received);
  }

  /** The first message that is not deleted: they go from the front. */
  async #firstWaiting(log: Log, last: number): Promise<number> {
    let [deleted, waiting] = [0, last];
    while (waiting - deleted > 1) {
      const middle = Math.floor((deleted + waiting) / 2);
      const [message] = await log.storedPage(middle, 1, 1);
      if (message?.deleted === true) deleted = middle;
      else waiting = middle;
    }
    return waiting;
  }
}

/** Up to where a log was received. */
interface Receipt {
  readonly headId: number;
  /** Which message that was; undefined where an earlier version wrote it. */
  readonly messageId: string | undefined;
}

/** The newest receipt; undefined where there is none that can be read. */
async function lastReceipt(log: Log): Promise<Receipt | undefined> {
  const [message] = log.head > 0 ? await log.storedPage(log.head, 1, 1) : [];
  if (message === undefined) return undefined;
  try {
    const { head_id: headId, message_id: id } = JSON.parse(decoder.decode(message.payload));
    if (!Number.isSafeInteger(headId) || headId < 1) return undefined;
    return { headId, messageId: typeof id === "string" ? id : undefined };
  } catch {
    return undefined; // of another version: the next one may be of ours
  }
}

/** A node in a topic: the parts, with everything encoded that could be taken for a separator. */
function nodeKey({ tenantId, blName, deviceId }: NodeName): string {
  return [tenantId, blName, deviceId].map(encodeURIComponent).join("/");
}
