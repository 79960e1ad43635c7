import type { Logger } from "@logtape/logtape";
import { GrpcServer, type Listener, listenTcp, listenUnix, Status, StatusError } from "@msgbus/grpc";
import { Bus } from "./bus/bus.ts";
import type { Config } from "./config/config.ts";
import { formatListenAddress, type ListenAddress } from "./config/listen_address.ts";
import { serveMsgbus } from "./service/msgbus_service.ts";
import { MemoryStore } from "./store/memory/store.ts";
import { SqliteStore } from "./store/sqlite/store.ts";
import type { Store } from "./store/store.ts";

/** Milliseconds that running calls have to finish when the daemon stops. */
const STOP_GRACE_MS = 10_000;

/** A running daemon. Made by {@linkcode Daemon.start}, ended by {@linkcode stop}. */
export class Daemon {
  /** What clients connect to, with the port that the system chose where the configuration says 0. */
  readonly addresses: readonly string[];
  readonly #store: Store;
  readonly #bus: Bus;
  readonly #server: GrpcServer;
  readonly #stopping: AbortController;
  readonly #serving: Promise<void>[];
  readonly #log: Logger;
  #stopped: Promise<void> | undefined;

  private constructor(
    store: Store,
    bus: Bus,
    server: GrpcServer,
    listeners: readonly Listener[],
    stopping: AbortController,
    log: Logger,
  ) {
    this.#store = store;
    this.#bus = bus;
    this.#server = server;
    this.#stopping = stopping;
    this.#log = log;
    this.addresses = listeners.map((listener) => listener.address);
    this.#serving = listeners.map((listener) => server.serve(listener));
  }

  /** Opens the store, then the bus, then the listeners. Throws StoreError, BusError or {@linkcode ListenError}; then nothing stays open. */
  static async start(config: Config, log: Logger): Promise<Daemon> {
    for (const warning of config.warnings) log.warn(warning);
    const store = await openStore(config);
    try {
      const bus = await Bus.open({
        store,
        node: config.node,
        clock: Date.now,
        random: (into) => crypto.getRandomValues(into),
      });
      const server = new GrpcServer({
        onError: failureLog(log),
      });
      const stopping = new AbortController();
      serveMsgbus(server, bus, stopping.signal);
      const listeners = await listenAll(config.listen);
      const daemon = new Daemon(store, bus, server, listeners, stopping, log);
      log.info("ready: node {node} on {addresses}, {storage} {data}, durability {durability}, {logs} logs", {
        node: `${config.node.tenantId}/${config.node.blName}/${config.node.deviceId}`,
        addresses: daemon.addresses.join(" "),
        storage: config.storage,
        data: config.storage === "memory" ? "(nothing is kept)" : config.dataPath,
        durability: config.durability,
        logs: bus.heads().length,
      });
      return daemon;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Takes no new calls, lets running ones finish for at most ten seconds, then closes the store. May be called again. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #stop(): Promise<void> {
    this.#log.info("stopping: {connections} connections", { connections: this.#server.connections });
    // A subscription has no end of its own to wait for.
    this.#stopping.abort(new StatusError(Status.UNAVAILABLE, "the daemon stops: connect again"));
    await this.#server.shutdown(STOP_GRACE_MS);
    await Promise.all(this.#serving);
    await this.#bus.close();
    await this.#store.close();
    this.#log.info("stopped");
  }
}

/** A listener could not be opened. */
export class ListenError extends Error {
  override readonly name = "ListenError";
}

async function openStore(config: Config): Promise<Store> {
  switch (config.storage) {
    case "sqlite":
      return await SqliteStore.open({ path: config.dataPath, durability: config.durability });
    case "memory":
      return new MemoryStore();
    case "kv":
      throw new Error("the configuration refuses this storage before the daemon starts");
  }
}

async function listenAll(addresses: readonly ListenAddress[]): Promise<Listener[]> {
  const listeners: Listener[] = [];
  for (const address of addresses) {
    try {
      listeners.push(address.kind === "unix" ? await listenUnix(address.path) : listenTcp(address));
    } catch (error) {
      for (const listener of listeners) listener.close();
      const reason = error instanceof Error ? error.message : String(error);
      throw new ListenError(`Cannot listen on "${formatListenAddress(address)}" (--listen): ${reason}`, {
        cause: error,
      });
    }
  }
  return listeners;
}

/** Milliseconds in which failed calls beyond the first are counted instead of described: a broken store fails them all. */
const FAILURE_LOG_INTERVAL_MS = 1_000;

function failureLog(log: Logger): (error: unknown, path: string) => void {
  let describedAtMs = -Infinity;
  let omitted = 0;
  return (error, path) => {
    const nowMs = performance.now();
    if (nowMs - describedAtMs < FAILURE_LOG_INTERVAL_MS) {
      omitted++;
      return;
    }
    log.error("{path} failed ({omitted} failures before it were not logged): {error}", {
      path,
      omitted,
      error: describeError(error),
    });
    describedAtMs = nowMs;
    omitted = 0;
  };
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `; cause: ${describeError(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
