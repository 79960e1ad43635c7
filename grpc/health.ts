/**
 * `grpc.health.v1.Health` for a server: what load balancers, orchestrators and `grpc_health_probe` ask.
 *
 * @module
 */
import { type Clock, systemClock } from "./clock.ts";
import type { GrpcServer } from "./server.ts";
import type { StreamingServerCall } from "./server_call.ts";
import { Status, StatusError } from "./status.ts";

/** `HealthCheckResponse.ServingStatus`, as far as it is said here. */
const ServingStatus = { SERVING: 1, NOT_SERVING: 2, SERVICE_UNKNOWN: 3 } as const;
type ServingStatus = typeof ServingStatus[keyof typeof ServingStatus];
/** The tag of the status in HealthCheckResponse: field number × 8 + wire type. */
const STATUS = 0x08;

/** How a health service finds out what it says. */
export interface HealthServiceOptions {
  /** The services it knows, such as "package.Service"; "" for the server as a whole is always known. */
  readonly services: readonly string[];
  /** Whether the server can serve now. Asked for each Check, and regularly while somebody watches. Must not throw. */
  readonly probe: () => Promise<boolean>;
  /** Milliseconds between two probes for those who watch; default 1,000. One probe answers all of them. */
  readonly probeIntervalMs?: number;
  /** Its time; the runtime's where none is given. */
  readonly clock?: Clock;
}

const DEFAULT_PROBE_INTERVAL_MS = 1_000;

/** Serves `grpc.health.v1.Health`: SERVING while the probe says so and until {@linkcode HealthService.stop}. */
export class HealthService {
  readonly #known: ReadonlySet<string>;
  readonly #probe: () => Promise<boolean>;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  readonly #watchers = new Set<() => void>();
  #serving = true;
  #stopped = false;
  #cancelTimer: (() => void) | undefined;

  /** Makes the service; {@linkcode HealthService.register} puts it on a server. */
  constructor(options: HealthServiceOptions) {
    this.#known = new Set(["", ...options.services]);
    this.#probe = options.probe;
    this.#intervalMs = options.probeIntervalMs ?? DEFAULT_PROBE_INTERVAL_MS;
    this.#clock = options.clock ?? systemClock;
  }

  /** Adds the service's methods to a server. */
  register(server: GrpcServer): this {
    server
      .method("/grpc.health.v1.Health/Check", {
        kind: "unary",
        handle: async (request) => await this.#check(await serviceOf(request)),
      })
      .method("/grpc.health.v1.Health/Watch", {
        kind: "server_streaming",
        handle: async (request, call) => await this.#watch(await serviceOf(request), call),
      });
    return this;
  }

  /** From now on everything is NOT_SERVING; those who watch are told, and their calls end. For a server about to stop. */
  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
    this.#wake();
  }

  async #check(service: string): Promise<Uint8Array> {
    if (!this.#known.has(service)) {
      const known = [...this.#known].filter((name) => name !== "").join(", ");
      throw new StatusError(Status.NOT_FOUND, `there is no service "${service}"; there is ${known}`);
    }
    const serving = !this.#stopped && await this.#probe();
    return response(serving && !this.#stopped ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
  }

  async #watch(service: string, call: StreamingServerCall): Promise<void> {
    if (!this.#known.has(service)) await call.write(response(ServingStatus.SERVICE_UNKNOWN));
    else if (this.#watchers.size === 0) this.#serving = await this.#probe();
    const { signal } = call;
    let told: ServingStatus | undefined;
    while (!signal.aborted) {
      const status = this.#stopped || !this.#serving ? ServingStatus.NOT_SERVING : ServingStatus.SERVING;
      if (this.#known.has(service) && status !== told) await call.write(response(told = status));
      if (this.#stopped) throw new StatusError(Status.UNAVAILABLE, "the server stops");
      await this.#change(signal);
    }
  }

  /** Settles at the next change, or when nobody waits any more. */
  #change(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.#watchers.delete(wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#watchers.add(wake);
      signal.addEventListener("abort", wake);
      if (signal.aborted) wake();
      else this.#probeLater();
    });
  }

  #probeLater(): void {
    this.#cancelTimer ??= this.#clock.after(this.#intervalMs, () => {
      this.#cancelTimer = undefined;
      if (this.#watchers.size > 0 && !this.#stopped) void this.#probeNow();
    });
  }

  async #probeNow(): Promise<void> {
    const serving = await this.#probe();
    if (serving === this.#serving) return this.#probeLater();
    this.#serving = serving;
    this.#wake();
  }

  #wake(): void {
    for (const wake of [...this.#watchers]) wake();
  }
}

/**
 * The service that is asked about. An empty request asks about the server as a whole: most probes send it, and a server
 * that nobody asks anything else should not hold the codec in memory.
 */
async function serviceOf(request: Uint8Array): Promise<string> {
  if (request.length === 0) return "";
  const { readService } = await import("./standard/health_request.ts");
  return readService(request);
}

function response(status: ServingStatus): Uint8Array {
  return Uint8Array.of(STATUS, status);
}
