import { RedisServer } from "../redis.ts";
import { FanOut, warmUpOf } from "./lanes.ts";
import { RespConnection } from "./resp_connection.ts";
import type { Reply } from "./resp_parser.ts";
import type { InFlight, RunningSystem, System } from "./system.ts";

const STREAM = "stream";
/** Entries of one XREAD: as many as a page of ours. */
const PAGE_ENTRIES = 1_000;
const decoder = new TextDecoder();

/** Redis Streams with every command on the disk before its answer. */
export function redisStreams(version: string): System {
  return {
    name: "Redis Streams",
    version,
    durability: (inFlight) => inFlight === 1 ? "fsync before every ack" : "group commit",
    load: (inFlight) =>
      ({
        1: "redis-benchmark XADD",
        50: "redis-benchmark XADD, 50 connections",
        5_000: "redis-benchmark XADD, 50 connections x pipeline 100",
      })[inFlight],
    replayLoad: `XREAD COUNT ${PAGE_ENTRIES}, our own reader`,
    fanoutLoad: "XADD and XREAD BLOCK, 100 connections, our own client",
    messagesPerCommit: (inFlight) => inFlight === 1 ? 1 : undefined,
    start: async (folder) => new RunningRedis(await RedisServer.start(folder)),
  };
}

class RunningRedis implements RunningSystem {
  readonly proof = "appendfsync always";
  readonly #server: RedisServer;

  constructor(server: RedisServer) {
    this.#server = server;
  }

  get pid(): number {
    return this.#server.pid;
  }

  async publish(inFlight: InFlight, messages: number, payloadBytes: number): Promise<number> {
    await this.#xadd(inFlight, warmUpOf(messages), payloadBytes);
    return await this.#xadd(inFlight, messages, payloadBytes);
  }

  async fill(messages: number, payloadBytes: number): Promise<void> {
    await this.#xadd(5_000, messages, payloadBytes);
  }

  async replay(messages: number): Promise<number> {
    using connection = await RespConnection.connect(this.#server.port);
    const begin = performance.now();
    let last = "0";
    for (let count = 0; count < messages;) {
      const entries = entriesOf(
        await connection.call("XREAD", "COUNT", String(PAGE_ENTRIES), "STREAMS", STREAM, last),
      );
      if (entries.length === 0) throw new Error(`Redis has ${count} of ${messages} messages`);
      count += entries.length;
      last = idOf(entries[entries.length - 1]);
    }
    return messages / ((performance.now() - begin) / 1_000);
  }

  async fanout(subscribers: number, messages: number, payloadBytes: number): Promise<number> {
    using publisher = await RespConnection.connect(this.#server.port);
    const value = "x".repeat(payloadBytes);
    const publish = () => publisher.call("XADD", STREAM, "*", "d", value);
    const first = idOf([await publish()]);
    const fan = new FanOut(subscribers);
    const connections = await Promise.all(
      Array.from({ length: subscribers }, () => RespConnection.connect(this.#server.port)),
    );
    for (const connection of connections) {
      // It ends with its connection.
      follow(connection, first, fan.delivered).catch(() => {});
    }
    await fan.rate(warmUpOf(messages), publish);
    const rate = await fan.rate(messages, publish);
    for (const connection of connections) connection[Symbol.dispose]();
    return rate;
  }

  async stop(): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }

  #xadd(inFlight: InFlight, messages: number, payloadBytes: number): Promise<number> {
    const pipeline = inFlight === 5_000 ? 100 : 1;
    return this.#server.xaddRate(inFlight / pipeline, messages, payloadBytes, pipeline);
  }
}

async function follow(
  connection: RespConnection,
  after: string,
  delivered: (count: number) => void,
): Promise<void> {
  for (let last = after;;) {
    const page = String(PAGE_ENTRIES);
    const reply = await connection.call("XREAD", "COUNT", page, "BLOCK", "0", "STREAMS", STREAM, last);
    const entries = entriesOf(reply);
    last = idOf(entries[entries.length - 1]);
    delivered(entries.length);
  }
}

/** The entries of an XREAD of one stream: `[[name, [[id, fields], …]]]`. */
function entriesOf(reply: Reply): readonly Reply[] {
  const [stream] = listOf(reply);
  return stream === undefined ? [] : listOf(listOf(stream)[1]);
}

function idOf(entry: Reply | undefined): string {
  const [id] = listOf(entry);
  if (id instanceof Uint8Array) return decoder.decode(id);
  throw new Error("Redis sent an entry without an id");
}

function listOf(reply: Reply | undefined): readonly Reply[] {
  if (reply === null || reply === undefined) return [];
  if (Array.isArray(reply)) return reply;
  throw new Error("Redis sent no list");
}
