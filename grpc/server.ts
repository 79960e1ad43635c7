import { Backlog } from "./backlog.ts";
import { ByteBudget } from "./byte_budget.ts";
import { type Clock, systemClock } from "./clock.ts";
import { DEFAULT_MIN_COMPRESS_BYTES } from "./compression/compression.ts";
import { DEFAULT_GRPC_LIMITS, type GrpcLimits } from "./limits.ts";
import { MessageMemory } from "./message_memory.ts";
import type { MethodHandler } from "./method.ts";
import { ServerSession } from "./server_session.ts";
import type { ByteStream, Listener } from "./transport/byte_stream.ts";
import { TurnPool } from "./turn_pool.ts";

/** How a server behaves where the defaults do not fit. */
export interface GrpcServerOptions {
  /** What it accepts and keeps; missing ones are {@linkcode DEFAULT_GRPC_LIMITS}. */
  readonly limits?: Partial<GrpcLimits>;
  /**
   * Bytes from which on a response is compressed, where the client compresses its requests and accepts its own encoding
   * in answers (`grpc-encoding`, `grpc-accept-encoding`); default 8,192.
   */
  readonly minCompressBytes?: number;
  /** Its time; the runtime's where none is given. */
  readonly clock?: Clock;
  /** Told of every error that a handler threw and whose details its client does not see: no StatusError, or INTERNAL with a cause. */
  readonly onError?: (error: unknown, path: string) => void;
}

/** A gRPC server over any number of listeners and byte streams. */
export class GrpcServer {
  readonly #methods = new Map<string, MethodHandler>();
  readonly #limits: GrpcLimits;
  readonly #minCompressBytes: number;
  readonly #clock: Clock;
  readonly #onError: (error: unknown, path: string) => void;
  readonly #gathering: ByteBudget;
  readonly #memory = new MessageMemory();
  readonly #backlog: Backlog;
  readonly #turns: TurnPool;
  readonly #listeners = new Set<Listener>();
  readonly #sessions = new Map<ServerSession, Promise<void>>();
  #stopping = false;

  /** Makes a server without methods. */
  constructor(options: GrpcServerOptions = {}) {
    this.#limits = { ...DEFAULT_GRPC_LIMITS, ...options.limits };
    this.#minCompressBytes = options.minCompressBytes ?? DEFAULT_MIN_COMPRESS_BYTES;
    this.#clock = options.clock ?? systemClock;
    this.#onError = options.onError ?? (() => {});
    this.#gathering = new ByteBudget(this.#limits.maxGatheringBytes);
    this.#backlog = new Backlog(this.#limits.maxQueuedBytesAheadOfAll);
    this.#turns = new TurnPool(this.#limits.maxTurns);
  }

  /** The services that it has methods of, such as "package.Service", in alphabetical order. */
  get services(): readonly string[] {
    return [...new Set([...this.#methods.keys()].map((path) => path.slice(1, path.lastIndexOf("/"))))].sort();
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#sessions.size;
  }

  /** Answers a path such as "/package.Service/Method". Throws when the path has a handler already. */
  method(path: string, handler: MethodHandler): this {
    if (!/^\/[^/]+\/[^/]+$/.test(path)) {
      throw new TypeError(`Cannot serve "${path}": it is not "/Service/Method"`);
    }
    if (this.#methods.has(path)) throw new TypeError(`Cannot serve "${path}": it has a handler already`);
    this.#methods.set(path, handler);
    return this;
  }

  /** Serves every connection of a listener until it is closed, by {@linkcode shutdown} or otherwise. */
  async serve(listener: Listener): Promise<void> {
    if (this.#stopping) return listener.close();
    this.#listeners.add(listener);
    for (let stream = await listener.accept(); stream !== null; stream = await listener.accept()) {
      void this.handle(stream);
    }
    this.#listeners.delete(listener);
  }

  /** Serves one connection until it is over. Never throws. */
  async handle(stream: ByteStream): Promise<void> {
    if (this.#stopping) return stream.close();
    if (this.#sessions.size >= this.#limits.maxConnections && !this.#makeRoom()) return stream.close();
    const session = new ServerSession(stream, this.#methods, {
      limits: this.#limits,
      clock: this.#clock,
      gathering: this.#gathering,
      memory: this.#memory,
      backlog: this.#backlog,
      turns: this.#turns,
      minCompressBytes: this.#minCompressBytes,
      onError: this.#onError,
    });
    const running = session.run();
    this.#sessions.set(session, running);
    await running;
    this.#sessions.delete(session);
  }

  /** Closes the connection that is missed least; false when all are in use. */
  #makeRoom(): boolean {
    let silent: ServerSession | undefined;
    // In the order of their age: of those that have not said who they are, the oldest is the least honest.
    for (const session of this.#sessions.keys()) {
      if (!session.established) {
        silent = session;
        break;
      }
      if (session.idle && (silent === undefined || session.lastReceivedMs < silent.lastReceivedMs)) {
        silent = session;
      }
    }
    if (silent === undefined) return false;
    this.#sessions.delete(silent);
    silent.evict();
    return true;
  }

  /** Takes no new connections and no new calls, lets running calls finish for `graceMs`, then ends what is left. */
  async shutdown(graceMs: number): Promise<void> {
    this.#stopping = true;
    for (const listener of this.#listeners) listener.close();
    const running = [...this.#sessions.values()];
    for (const session of this.#sessions.keys()) session.drain();
    const cancel = this.#clock.after(graceMs, () => {
      for (const session of this.#sessions.keys()) session.abort();
    });
    await Promise.all(running);
    cancel();
  }
}
