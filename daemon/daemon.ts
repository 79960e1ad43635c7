import { GrpcServer, type ServerCall, Status, StatusError } from "@msgbus/grpc/server";
import type { TlsRefusal, TlsRefusalCode } from "@msgbus/grpc/tls";
import { Authenticator } from "./auth/authenticator.ts";
import { AuthFileError } from "./auth/error.ts";
import { loadAuthFile, type LoadedAuthFile } from "./auth/load_auth_file.ts";
import { Bus } from "./bus/bus.ts";
import type { Config, TlsFiles } from "./config/config.ts";
import { ConfigError } from "./config/error.ts";
import type { DiscoveredPeers } from "./discovered_peers.ts";
import { Listeners } from "./listeners.ts";
import type { Logger } from "./log.ts";
import { LogGate } from "./log_gate.ts";
import type { ServerCredentials } from "./server_credentials.ts";
import { serveMsgbus } from "./service/msgbus_service.ts";
import { statusOfBusError } from "./service/status.ts";
import { registerStreams } from "./service/stream_methods.ts";
import { serveStandardServices } from "./service/standard_services.ts";
import { SqliteStore } from "./store/sqlite/store.ts";
import type { Store } from "./store/store.ts";
import { registerSync } from "./sync/sync_methods.ts";
import type { SharedSecret } from "./sync/shared_secret.ts";
import type { Synchronizer } from "./sync/synchronizer.ts";
import { systemTimer } from "./bus/timer.ts";

/** Milliseconds that running calls have to finish when the daemon stops. */
const STOP_GRACE_MS = 10_000;

/** A running daemon. Made by {@linkcode Daemon.start}, ended by {@linkcode stop}. */
export class Daemon {
  /** What clients connect to, with the port that the system chose where the configuration says 0. */
  readonly addresses: readonly string[];
  readonly #store: Store;
  readonly #bus: Bus;
  readonly #server: GrpcServer;
  readonly #synchronizer: Synchronizer | undefined;
  readonly #stopping: AbortController;
  readonly #serving: Promise<void>[];
  readonly #log: Logger;
  readonly #listeners: Listeners;
  readonly #authenticator: Authenticator | undefined;
  readonly #tlsFiles: TlsFiles | undefined;
  readonly #authPath: string | undefined;
  #reloaded: Promise<void> = Promise.resolve();
  #stopped: Promise<void> | undefined;

  private constructor(
    store: Store,
    bus: Bus,
    server: GrpcServer,
    synchronizer: Synchronizer | undefined,
    listeners: Listeners,
    authenticator: Authenticator | undefined,
    config: Config,
    stopping: AbortController,
    log: Logger,
  ) {
    this.#store = store;
    this.#bus = bus;
    this.#server = server;
    this.#synchronizer = synchronizer;
    this.#stopping = stopping;
    this.#log = log;
    this.#listeners = listeners;
    this.#authenticator = authenticator;
    this.#tlsFiles = config.tls;
    this.#authPath = config.authPath;
    this.addresses = listeners.all.map((listener) => listener.address);
    this.#serving = listeners.all.map((listener) => server.serve(listener));
  }

  /**
   * Reads the certificate and the tokens, opens the store, then the bus, then the listeners. Throws ConfigError,
   * AuthFileError, StoreError, BusError or ListenError; then nothing stays open.
   */
  static async start(config: Config, log: Logger): Promise<Daemon> {
    const credentials = config.tls && await loadCredentials(config.tls);
    const auth = config.authPath === undefined ? undefined : await loadAuthFile(config.authPath);
    const warnings = [...config.warnings, ...credentials?.warnings ?? [], ...auth?.warnings ?? []];
    for (const warning of warnings) log.warn(warning);
    const store = await openStore(config);
    try {
      const bus = await Bus.open({
        store,
        node: config.node,
        clock: Date.now,
        random: (into) => crypto.getRandomValues(into),
      });
      const server = new GrpcServer({
        minCompressBytes: config.minCompressBytes,
        onError: failureLog(log),
      });
      const stopping = new AbortController();
      const authenticator = auth && await openAuthenticator(bus, auth);
      let discovered: DiscoveredPeers | undefined;
      // Loads the code for it as well, which a daemon without peers should not hold in memory.
      const peers = config.peers.length > 0 || config.discovery !== undefined
        ? await import("./peers.ts")
        : undefined;
      const synchronizer = peers?.openSynchronizer(bus, config, log, (peer) => discovered?.failed(peer));
      const secret = await readSecret(config);
      const accessOf = authenticator && ((call: ServerCall) => authenticator.busOf(call));
      const durability = config.storage === "memory" ? "memory" : config.durability;
      serveMsgbus(server, bus, stopping.signal, accessOf, synchronizer, durability);
      registerStreams(server, async () => {
        const { streamHandlers } = await import("./service/stream_service.ts");
        return streamHandlers(bus, stopping.signal, accessOf);
      }, accessOf);
      registerSync(server, async () => {
        const { syncHandlers } = await import("./sync/serve_sync.ts");
        return syncHandlers(bus, {
          synchronizer,
          timer: systemTimer,
          secret,
          isOwnAddress: (address) => discovered?.isOwnAddress(address) ?? false,
          stopping: stopping.signal,
          accessOf: accessOf ?? (() => bus),
          statusOf: statusOfBusError,
        });
      });
      const health = serveStandardServices(server, bus);
      stopping.signal.addEventListener("abort", () => health.stop(), { once: true });
      const listeners = await Listeners.open(config, credentials?.tls, refusalLog(log));
      const daemon = new Daemon(
        store,
        bus,
        server,
        synchronizer,
        listeners,
        authenticator,
        config,
        stopping,
        log,
      );
      if (config.discovery !== undefined && synchronizer !== undefined) {
        const { addresses } = daemon;
        const { discovery } = config;
        const { DiscoveredPeers } = await import("./discovered_peers.ts");
        discovered = await DiscoveredPeers.start({
          discovery,
          config,
          secret,
          addresses,
          bus,
          synchronizer,
          log,
        });
        stopping.signal.addEventListener("abort", () => void discovered?.close(), { once: true });
      }
      if (credentials !== undefined) {
        log.info("certificate: {certificate}", { certificate: credentials.tls.summary });
      }
      log.info("ready: node {node} on {addresses}, {storage} {data}, durability {durability}, {logs} logs", {
        node: `${config.node.tenantId}/${config.node.blName}/${config.node.deviceId}`,
        addresses: daemon.addresses.join(" "),
        storage: config.storage,
        data: config.storage === "memory" ? "(nothing is kept)" : config.dataPath,
        durability: config.durability,
        logs: bus.heads().length,
      });
      if (synchronizer !== undefined) await peers?.followPeers(synchronizer, config);
      return daemon;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /**
   * Reads the certificate, its key and the client authorities anew: for new connections; open ones go on. And the file
   * of tokens: for new calls; subscriptions of those who lost their rights end. What can't be read is logged, and stays
   * as it was.
   */
  reload(): Promise<void> {
    return this.#reloaded = this.#reloaded.then(() => this.#reload());
  }

  /** Takes no new calls, lets running ones finish for at most ten seconds, then closes the store. May be called again. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  async #reload(): Promise<void> {
    if (this.#tlsFiles === undefined && this.#authPath === undefined) {
      this.#log.info("reload: there is neither a certificate nor a file of tokens to read anew");
    }
    if (this.#tlsFiles !== undefined) await this.#reloadCertificate(this.#tlsFiles);
    if (this.#authPath !== undefined) await this.#reloadTokens(this.#authPath);
  }

  async #reloadTokens(path: string): Promise<void> {
    try {
      const { file, warnings } = await loadAuthFile(path);
      this.#authenticator?.reload(file);
      for (const warning of warnings) this.#log.warn(warning);
      this.#log.info("reloaded the tokens: {tokens} tokens, {certificates} certificates", {
        tokens: file.tokens.length,
        certificates: file.certificates.length,
      });
    } catch (error) {
      this.#log.error("reload failed, the daemon keeps the tokens it has: {error}", {
        error: error instanceof AuthFileError ? error.message : describeError(error),
      });
    }
  }

  async #reloadCertificate(files: TlsFiles): Promise<void> {
    try {
      const { tls, warnings } = await loadCredentials(files);
      this.#listeners.reload(tls);
      for (const warning of warnings) this.#log.warn(warning);
      this.#log.info("reloaded the certificate: {certificate}", { certificate: tls.summary });
    } catch (error) {
      this.#log.error("reload failed, the certificate from before stays in use: {error}", {
        error: error instanceof ConfigError ? error.message : describeError(error),
      });
    }
  }

  async #stop(): Promise<void> {
    this.#log.info("stopping: {connections} connections", { connections: this.#server.connections });
    // A subscription has no end of its own to wait for.
    this.#stopping.abort(new StatusError(Status.UNAVAILABLE, "the daemon stops: connect again"));
    await this.#synchronizer?.close();
    await this.#server.shutdown(STOP_GRACE_MS);
    await Promise.all(this.#serving);
    await this.#bus.close();
    await this.#store.close();
    this.#log.info("stopped");
  }
}

/** Loads the code for it as well, which a daemon without TLS should not hold in memory. */
async function loadCredentials(files: TlsFiles): Promise<ServerCredentials> {
  const { loadServerCredentials } = await import("./server_credentials.ts");
  return await loadServerCredentials(files);
}

/** Loads discovery as well, which a daemon that does not look for peers should not hold in memory. */
async function readSecret({ discovery }: Config): Promise<SharedSecret | undefined> {
  if (discovery?.secretPath === undefined) return undefined;
  const { readSharedSecret } = await import("./discovered_peers.ts");
  return await readSharedSecret(discovery.secretPath);
}

/** Loads the hash function as well, which a daemon without tokens does not need. */
async function openAuthenticator(bus: Bus, { file }: LoadedAuthFile): Promise<Authenticator> {
  const { sha256 } = await import("@noble/hashes/sha2.js");
  return new Authenticator(bus, file, sha256);
}

async function openStore(config: Config): Promise<Store> {
  const { dataPath: path, durability, dedupKeys, dedupAgeMs } = config;
  const dedup = { keys: dedupKeys, ageMs: dedupAgeMs };
  switch (config.storage) {
    case "sqlite":
      return await SqliteStore.open({ path, durability, dedup });
    case "memory": {
      const { MemoryStore } = await import("./store/memory/store.ts");
      return new MemoryStore(undefined, dedup);
    }
    case "kv":
      throw new Error("the configuration refuses this storage before the daemon starts");
  }
}

/** Failed calls beyond one in a second are counted instead of described: a broken store fails them all. */
const FAILURE_LOG_INTERVAL_MS = 1_000;

function failureLog(log: Logger): (error: unknown, path: string) => void {
  const gate = new LogGate(1, FAILURE_LOG_INTERVAL_MS);
  return (error, path) => {
    const omitted = gate.pass();
    if (omitted === undefined) return;
    log.error("{path} failed ({omitted} failures before it were not logged): {error}", {
      path,
      omitted,
      error: describeError(error),
    });
  };
}

/** Refused connections of one kind that are logged at once; later ones are counted, and one in ten seconds is logged. */
const REFUSAL_LOG_BURST = 10;
const REFUSAL_LOG_INTERVAL_MS = 10_000;

function refusalLog(log: Logger): (refusal: TlsRefusal) => void {
  const gates = new Map<TlsRefusalCode, LogGate>();
  return ({ code, remote, reason }) => {
    // Port scanners and health checks come and go.
    if (code === "gone") return log.debug("{remote} got no connection: {reason}", { remote, reason });
    let gate = gates.get(code);
    if (gate === undefined) gates.set(code, gate = new LogGate(REFUSAL_LOG_BURST, REFUSAL_LOG_INTERVAL_MS));
    const omitted = gate.pass();
    if (omitted === undefined) return;
    const record = { remote, reason, code, omitted };
    if (omitted === 0) log.warn("{remote} got no connection: {reason}", record);
    else log.warn("{remote} got no connection: {reason} ({omitted} before it were not logged)", record);
  };
}

function describeError(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause === undefined ? "" : `; cause: ${describeError(error.cause)}`;
  return `${error.stack ?? error.message}${cause}`;
}
