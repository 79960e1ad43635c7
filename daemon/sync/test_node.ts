import { type Connect, GrpcServer, type GrpcServerOptions, listenMemory } from "@msgbus/grpc";
import { Bus } from "../bus/bus.ts";
import type { Message } from "../bus/message.ts";
import { PEER_ITSELF } from "../bus/names.ts";
import { systemTimer, type Timer } from "../bus/timer.ts";
import { serveMsgbus } from "../service/msgbus_service.ts";
import { statusOfBusError } from "../service/status.ts";
import { MemoryStore } from "../store/memory/store.ts";
import type { NodeName, PeerSyncState, Store } from "../store/store.ts";
import { GrpcPeerLink } from "./grpc_peer_link.ts";
import type { PeerLink } from "./peer_link.ts";
import type { PeerOptions } from "./peer_worker.ts";
import { serveSync } from "./serve_sync.ts";
import { Synchronizer } from "./synchronizer.ts";

export interface TestNodeOptions {
  readonly store?: Store;
  /** Whether it has no SyncService, like the first implementation. */
  readonly plain?: boolean;
  readonly pollMs?: number;
  /** Of the synchronization; the system's where absent. */
  readonly timer?: Timer;
  /** Milliseconds since the Unix epoch; the system's where it is left out. */
  readonly clock?: () => number;
  readonly server?: GrpcServerOptions;
}

export function nodeName(deviceId: string): NodeName {
  return { tenantId: "tenant", blName: "line", deviceId };
}

/** A bus that is served and follows peers, over connections in memory. */
export class TestNode implements AsyncDisposable {
  readonly bus: Bus;
  readonly sync: Synchronizer;
  readonly store: Store;
  /** What people would read in the log. */
  readonly events: string[] = [];
  /** Milliseconds between attempts to reach a peer. */
  readonly waits: number[] = [];
  readonly #server: GrpcServer;
  readonly #listener = listenMemory();
  readonly #stopping = new AbortController();
  readonly #serving: Promise<void>;

  private constructor(bus: Bus, store: Store, options: TestNodeOptions) {
    const { plain = false, pollMs = 20, clock = Date.now, timer = systemTimer, server = {} } = options;
    this.#server = new GrpcServer(server);
    this.bus = bus;
    this.store = store;
    this.sync = new Synchronizer({
      bus,
      poll: { intervalMs: pollMs, batchLimit: 100 },
      events: {
        connected: (peer, _, mode) => this.events.push(`${peer} ${mode}`),
        failed: (peer, reason, waitMs) => {
          this.events.push(`${peer} failed: ${reason}`);
          this.waits.push(waitMs);
        },
        forked: (peer, topic) => this.events.push(`${peer} forked: ${topic}`),
        logFailed: (peer, topic, _, reason) => this.events.push(`${peer} ${topic}: ${reason}`),
      },
      timer,
      now: clock,
      random: () => 0.5,
    });
    serveMsgbus(this.#server, bus, this.#stopping.signal, undefined, this.sync);
    if (!plain) {
      serveSync(this.#server, bus, {
        synchronizer: this.sync,
        timer: systemTimer,
        stopping: this.#stopping.signal,
        accessOf: () => bus,
        statusOf: statusOfBusError,
      });
    }
    this.#serving = this.#server.serve(this.#listener);
  }

  static async start(deviceId: string, options: TestNodeOptions = {}): Promise<TestNode> {
    const store = options.store ?? new MemoryStore();
    const bus = await Bus.open({
      store,
      node: nodeName(deviceId),
      clock: options.clock ?? Date.now,
      random: (into) => crypto.getRandomValues(into),
    });
    return new TestNode(bus, store, options);
  }

  /** Connects to this node. */
  get connect(): Connect {
    return this.#listener.connect;
  }

  /** A new connection to this node. */
  link(connect = this.connect): PeerLink {
    return new GrpcPeerLink({
      connect,
      authority: "localhost",
      scheme: "http",
      token: undefined,
    });
  }

  /** Begins to copy from another node. */
  async follow(other: TestNode, options: Partial<PeerOptions> = {}): Promise<void> {
    await this.sync.add({
      peer: other.bus.node.deviceId,
      dial: () => Promise.resolve(other.link()),
      identity: undefined,
      include: [],
      exclude: [],
      ...options,
    });
  }

  publish(topic: string, text: string): Promise<Message> {
    return this.bus.publish({ topic, payload: new TextEncoder().encode(text), headers: new Uint8Array() });
  }

  /** What is recorded of logs at peers; what is recorded of the peers themselves is left out. */
  async logStates(): Promise<PeerSyncState[]> {
    return (await this.bus.peerSyncStates()).filter(({ topic }) => topic !== PEER_ITSELF);
  }

  /** The payloads of a log; null for those deleted. */
  async texts(topic: string, origin: TestNode | NodeName = this): Promise<(string | null)[]> {
    const node = origin instanceof TestNode ? origin.bus.node : origin;
    const texts: (string | null)[] = [];
    for await (const page of this.bus.fetch({ topic, origin: node, fromHeadId: 1, limit: 10_000 })) {
      for (const { deleted, payload } of page) texts.push(deleted ? null : new TextDecoder().decode(payload));
    }
    return texts;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.sync.close();
    this.#stopping.abort();
    await this.#server.shutdown(1_000);
    await this.#serving;
    await this.bus.close();
    await this.store.close();
  }
}

/** Waits until something is so. Fails when it is not within a minute, which no machine needs. */
export async function eventually(condition: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!await condition()) {
    if (performance.now() > deadline) throw new Error(`it did not happen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
