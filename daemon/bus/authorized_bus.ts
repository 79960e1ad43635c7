import type { FifoMessage, LogHead, PeerSyncState } from "../store/store.ts";
import type { Bus } from "./bus.ts";
import type { BusAccess } from "./bus_access.ts";
import { BusError } from "./error.ts";
import type { Grants, PatternGrant } from "./grants.ts";
import type { Message } from "./message.ts";
import type { Consumer } from "./consumer.ts";
import type {
  ConsumeRequest,
  DeleteRangeRequest,
  EnqueueFifoRequest,
  FetchRequest,
  OpenProducerRequest,
  Producer,
  PublishBatchRequest,
  PublishOutcome,
  PublishRequest,
  RequestNode,
  SubscribeRequest,
} from "./requests.ts";
import { isTopic } from "./topic_pattern.ts";
import type { Subscription } from "./subscription.ts";

/**
 * A bus as one caller may use it: what its grants do not cover fails with permission_denied, before anything else is
 * looked at. Everything else is the bus's.
 */
export class AuthorizedBus implements BusAccess {
  readonly revoked: AbortSignal;
  readonly #bus: Bus;
  readonly #caller: string;
  readonly #grants: Grants;

  /** `caller` is named in refusals; `revoked` is aborted when the grants no longer hold. */
  constructor(bus: Bus, caller: string, grants: Grants, revoked: AbortSignal) {
    this.#bus = bus;
    this.#caller = caller;
    this.#grants = grants;
    this.revoked = revoked;
  }

  publish(request: PublishRequest): Promise<Message> {
    if (!this.#grants.allows("publish", request.topic)) {
      return Promise.reject(this.#denied("publish to", request.topic, "publish"));
    }
    return this.#bus.publish(request);
  }

  publishBatch(request: PublishBatchRequest, signal?: AbortSignal): Promise<readonly PublishOutcome[]> {
    const refuse = (topic: string) =>
      this.#grants.allows("publish", topic) ? undefined : this.#denied("publish to", topic, "publish");
    return this.#bus.publishBatch({ ...request, refuse }, signal);
  }

  /** For whoever may publish to some topic. Its name is the caller's own: others may use the same one. */
  async openProducer({ id, epoch }: OpenProducerRequest): Promise<Producer> {
    if (!this.#grants.some("publish")) throw this.#denied("publish as", id, "publish");
    return await this.#bus.openProducer({ id, epoch, owner: this.#caller });
  }

  head(topic: string, origin?: RequestNode): number | undefined {
    this.#requireRead("read the head of", topic);
    return this.#bus.head(topic, origin);
  }

  /** Those of the topics that may be read. */
  heads(): readonly LogHead[] {
    const heads = this.#bus.heads();
    const { admin, sync } = this.#grants;
    return admin || sync ? heads : heads.filter(({ topic }) => this.#grants.mayRead(topic));
  }

  fetch(request: FetchRequest): AsyncIterable<readonly Message[]> {
    this.#requireRead("fetch from", request.topic);
    return this.#bus.fetch(request);
  }

  subscribe(request: SubscribeRequest): Subscription {
    this.#requireRead("subscribe to", request.topic);
    return this.#bus.subscribe(request);
  }

  /** Of the topics that a pattern matches, those that may be read. */
  async consume(request: ConsumeRequest): Promise<Consumer> {
    for (const pattern of request.patterns) {
      if (isTopic(pattern)) this.#requireRead("consume", pattern);
    }
    return await this.#bus.consume({ ...request, allowed: (topic) => this.#grants.mayRead(topic) });
  }

  cursorAt(sequence: number): string {
    return this.#bus.cursorAt(sequence);
  }

  async deleteRange(request: DeleteRangeRequest): Promise<number> {
    this.#requireAdmin(`delete from "${request.topic}"`);
    return await this.#bus.deleteRange(request);
  }

  async enqueueFifo(request: EnqueueFifoRequest): Promise<FifoMessage> {
    this.#requireFifo("enqueue to", request.queue);
    return await this.#bus.enqueueFifo(request);
  }

  async peekFifo(queue: string): Promise<FifoMessage> {
    this.#requireFifo("peek", queue);
    return await this.#bus.peekFifo(queue);
  }

  async ackFifo(queue: string, messageId: string): Promise<boolean> {
    this.#requireFifo("acknowledge in", queue);
    return await this.#bus.ackFifo(queue, messageId);
  }

  async rejectFifo(queue: string, messageId: string): Promise<boolean> {
    this.#requireFifo("reject in", queue);
    return await this.#bus.rejectFifo(queue, messageId);
  }

  async peerSyncStates(): Promise<readonly PeerSyncState[]> {
    this.#requireAdmin("list peer sync states");
    return await this.#bus.peerSyncStates();
  }

  fetchArchived(request: FetchRequest, name: string): AsyncGenerator<readonly Message[]> {
    this.#requireRead("fetch from", request.topic);
    return this.#bus.fetchArchived(request, name);
  }

  requireGrant(grant: "sync" | "admin", action: string): void {
    if (this.#grants[grant]) return;
    throw new BusError(
      "permission_denied",
      `Cannot ${action}: ${this.#caller} may not; grant it "${grant}"`,
    );
  }

  #requireRead(action: string, topic: string): void {
    if (!this.#grants.mayRead(topic)) throw this.#denied(action, topic, "subscribe");
  }

  #requireFifo(action: string, queue: string): void {
    if (!this.#grants.allows("fifo", queue)) throw this.#denied(action, queue, "fifo");
  }

  #requireAdmin(action: string): void {
    if (this.#grants.admin) return;
    throw new BusError(
      "permission_denied",
      `Cannot ${action}: ${this.#caller} is no admin; grant it "admin"`,
    );
  }

  #denied(action: string, name: string, kind: PatternGrant): BusError {
    return new BusError(
      "permission_denied",
      `Cannot ${action} "${name}": ${this.#caller} may not; grant it "${kind}" with a pattern that matches`,
    );
  }
}
