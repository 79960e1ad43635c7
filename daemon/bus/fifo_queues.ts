import type { FifoMessage, NewFifoMessage, NodeName, Store } from "../store/store.ts";
import type { Admission } from "./admission.ts";
import { BusError, toBusError } from "./error.ts";
import type { FifoForwarding } from "./fifo_forwarding.ts";
import { checkName, resolveNode } from "./names.ts";
import { pendingBytes } from "./pending_publish.ts";
import type { EnqueueFifoRequest } from "./requests.ts";

/** The rules of queues: one consumer's view of the front, in order, until it is acknowledged. */
export class FifoQueues {
  readonly #store: Store;
  readonly #node: NodeName;
  readonly #admission: Admission;
  readonly #forwarding: FifoForwarding;

  constructor(store: Store, node: NodeName, admission: Admission, forwarding: FifoForwarding) {
    this.#store = store;
    this.#node = node;
    this.#admission = admission;
    this.#forwarding = forwarding;
  }

  async enqueue(request: EnqueueFifoRequest, id: string, createdAtMs: number): Promise<FifoMessage> {
    this.#admission.checkOpen("enqueue");
    const { queue, topic, payload, headers } = request;
    checkName(queue, "queue");
    checkName(topic, "topic");
    const source = resolveNode(request.source, this.#node, "source");
    if (request.target === undefined) {
      throw new BusError("invalid_argument", "Cannot enqueue: target is required; name a node", {
        field: "target",
      });
    }
    const target = resolveNode(request.target, this.#node, "target");
    this.#admission.checkSize("enqueue", payload, headers);
    const message: NewFifoMessage = { queue, id, topic, source, target, payload, headers, createdAtMs };
    if (target !== this.#node) return await this.#forwarding.forward(message);
    const sequence = await this.#settle(
      `enqueue to "${queue}"`,
      pendingBytes(payload, headers),
      () => this.#store.enqueueFifo(message),
    );
    return { ...message, sequence, attempts: 0 };
  }

  async peek(queue: string): Promise<FifoMessage> {
    this.#admission.checkOpen("peek");
    checkName(queue, "queue");
    const message = await this.#settle(`peek "${queue}"`, 0, () => this.#store.peekFifo(queue));
    if (message === undefined) {
      throw new BusError("not_found", `Cannot peek "${queue}": the queue is empty; try again later`);
    }
    return message;
  }

  async ack(queue: string, messageId: string): Promise<boolean> {
    this.#checkFront("acknowledge", queue, messageId);
    return await this.#settle(`acknowledge in "${queue}"`, 0, () => this.#store.ackFifo(queue, messageId));
  }

  async reject(queue: string, messageId: string): Promise<boolean> {
    this.#checkFront("reject", queue, messageId);
    return await this.#settle(`reject in "${queue}"`, 0, () => this.#store.rejectFifo(queue, messageId));
  }

  #checkFront(action: string, queue: string, messageId: string): void {
    this.#admission.checkOpen(action);
    checkName(queue, "queue");
    checkName(messageId, "message_id");
  }

  async #settle<T>(action: string, bytes: number, call: () => Promise<T>): Promise<T> {
    this.#admission.enter(bytes);
    try {
      return await call();
    } catch (error) {
      throw toBusError(action, error);
    } finally {
      this.#admission.exit(bytes);
    }
  }
}
