import { output } from "./programs.ts";

/** A Redis that makes every command durable before it answers. */
export class RedisServer implements AsyncDisposable {
  readonly pid: number;
  /** Where it listens on the loopback. */
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  #ended: Promise<unknown> | undefined;

  private constructor(child: Deno.ChildProcess, port: number) {
    this.#child = child;
    this.pid = child.pid;
    this.port = port;
  }

  /** Starts one with `appendfsync always` in the folder. */
  static async start(folder: string): Promise<RedisServer> {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    const child = new Deno.Command("redis-server", {
      // deno-fmt-ignore
      args: ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", "",
        "--appendonly", "yes", "--appendfsync", "always",
        // redis-benchmark sends one payload again and again, which a rewritten file would keep once for many messages.
        "--rdbcompression", "no"],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const server = new RedisServer(child, port);
    for (let i = 0; i < 100; i++) {
      try {
        if ((await server.#cli("ping")).includes("PONG")) break;
      } catch {
        // It is still starting.
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const fsync = await server.#cli("config", "get", "appendfsync");
    if (!fsync.includes("always")) throw new Error(`Redis runs with ${fsync}`);
    return server;
  }

  /** XADD a second, with a value of `payloadBytes`; `pipeline` commands of each connection are under way at a time. */
  async xaddRate(connections: number, calls: number, payloadBytes: number, pipeline = 1): Promise<number> {
    const value = "x".repeat(payloadBytes);
    const text = await output("redis-benchmark", [
      "-h",
      "127.0.0.1",
      "-p",
      String(this.port),
      "-n",
      String(calls),
      "-c",
      String(connections),
      "-P",
      String(pipeline),
      "--csv",
      "XADD",
      "stream",
      "*",
      "d",
      value,
    ]);
    const rate = /^"XADD[^"]*","([\d.]+)"/m.exec(text)?.[1];
    if (rate === undefined) throw new Error(`redis-benchmark did not get through: ${text}`);
    return Number(rate);
  }

  #cli(...args: string[]): Promise<string> {
    return output("redis-cli", ["-h", "127.0.0.1", "-p", String(this.port), ...args]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended ??= this.#end();
    await this.#ended;
  }

  async #end(): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
  }
}
