import { NATS_SERVER, output } from "../programs.ts";
import type { RunningSystem, System } from "./system.ts";

const CLIENT = new URL("../nats_client/", import.meta.url).pathname;
const START_ATTEMPTS = 100;
const FILL_IN_FLIGHT = 5_000;

/** NATS JetStream: with a sync for each message, or with its default, which acknowledges what the disk has not seen. */
export function natsJetStream(version: string, syncAlways: boolean): System {
  return {
    name: `NATS JetStream, ${syncAlways ? "sync_interval: always" : "default"}`,
    version,
    durability: () => syncAlways ? "fsync before every ack" : "page cache",
    load: (inFlight) => `JavaScript client, ${inFlight.toLocaleString("en-US")} in flight`,
    replayLoad: "ordered consumer, consume()",
    fanoutLoad: "JavaScript client, ordered consumers, 100 connections",
    messagesPerCommit: () => syncAlways ? 1 : undefined,
    start: (folder) => RunningNats.start(folder, syncAlways),
  };
}

/** Whether the program knows `sync_interval: always`, which came with 2.10. */
export async function knowsSyncAlways(folder: string): Promise<boolean> {
  const path = `${folder}/nats-probe.conf`;
  await Deno.writeTextFile(path, configOf({ folder, port: 4222, monitor: 8222, syncAlways: true }));
  try {
    await output(NATS_SERVER.command, ["-c", path, "-t"]);
    return true;
  } catch {
    return false;
  } finally {
    await Deno.remove(path);
  }
}

interface NatsConfig {
  readonly folder: string;
  readonly port: number;
  readonly monitor: number;
  readonly syncAlways: boolean;
}

function configOf({ folder, port, monitor, syncAlways }: NatsConfig): string {
  const sync = syncAlways ? ", sync_interval: always" : "";
  return `host: 127.0.0.1\nport: ${port}\nhttp: "127.0.0.1:${monitor}"\n` +
    `jetstream { store_dir: ${JSON.stringify(folder)}${sync} }\n`;
}

class RunningNats implements RunningSystem {
  readonly pid: number;
  readonly proof: string;
  readonly #child: Deno.ChildProcess;
  readonly #port: number;

  private constructor(child: Deno.ChildProcess, port: number, proof: string) {
    this.#child = child;
    this.pid = child.pid;
    this.#port = port;
    this.proof = proof;
  }

  static async start(folder: string, syncAlways: boolean): Promise<RunningNats> {
    const [port, monitor] = [freePort(), freePort()];
    const path = `${folder}.conf`;
    await Deno.writeTextFile(path, configOf({ folder, port, monitor, syncAlways }));
    const child = new Deno.Command(NATS_SERVER.command, {
      args: ["-c", path],
      stdout: "null",
      stderr: "null",
    })
      .spawn();
    try {
      // Whether each write is synced is told by the running server (2.10 and later).
      const config = await configOfRunning(monitor);
      if ((config["sync_always"] === true) !== syncAlways) {
        throw new Error(`NATS runs with ${JSON.stringify(config)}`);
      }
      return new RunningNats(
        child,
        port,
        syncAlways ? "sync_always true" : `sync_interval ${intervalText(config["sync_interval"])}`,
      );
    } catch (error) {
      await end(child);
      throw error;
    } finally {
      await Deno.remove(path);
    }
  }

  publish(inFlight: number, messages: number, payloadBytes: number): Promise<number> {
    return this.#load("publish", inFlight, messages, payloadBytes);
  }

  async fill(messages: number, payloadBytes: number): Promise<void> {
    await this.#load("fill", FILL_IN_FLIGHT, messages, payloadBytes);
  }

  replay(messages: number): Promise<number> {
    return this.#load("replay", messages);
  }

  fanout(subscribers: number, messages: number, payloadBytes: number): Promise<number> {
    return this.#load("fanout", subscribers, messages, payloadBytes);
  }

  async stop(): Promise<void> {
    await end(this.#child);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await end(this.#child);
  }

  async #load(...work: readonly (string | number)[]): Promise<number> {
    const client = ["--no-config", `--lock=${CLIENT}deno.lock`, "--frozen", "-A", "-q", `${CLIENT}load.ts`];
    const text = await output(Deno.execPath(), ["run", ...client, String(this.#port), ...work.map(String)]);
    const rate = Number(text);
    if (!(rate > 0)) throw new Error(`the load on NATS did not get through: ${text}`);
    return rate;
  }
}

async function configOfRunning(monitor: number): Promise<Readonly<Record<string, unknown>>> {
  for (let attempt = 1;; attempt++) {
    try {
      const response = await fetch(`http://127.0.0.1:${monitor}/varz`);
      return (await response.json()).jetstream.config;
    } catch (error) {
      // It is still starting.
      if (attempt === START_ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The server tells nanoseconds; one that tells none has its default of two minutes. */
function intervalText(nanoseconds: unknown): string {
  return typeof nanoseconds === "number" ? `${nanoseconds / 1e9} s` : "not told: 120 s";
}

async function end(child: Deno.ChildProcess): Promise<void> {
  try {
    child.kill("SIGTERM");
  } catch {
    // It has ended already.
  }
  await child.status;
}

function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}
