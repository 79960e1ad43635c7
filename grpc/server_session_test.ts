/** What a server does with a connection whose every frame and every millisecond the test decides. */
import assert from "node:assert/strict";
import type { Clock } from "./clock.ts";
import { FrameType } from "./http2/frame/frame_type.ts";
import { concat, FrameFactory, REQUEST } from "./http2/testing/frame_factory.ts";
import { FrameLog } from "./http2/testing/frame_log.ts";
import type { GrpcLimits } from "./limits.ts";
import { messagePrefix } from "./message_reader.ts";
import { GrpcServer } from "./server.ts";
import type { ByteStream } from "./transport/byte_stream.ts";
import { memoryPipe } from "./transport/memory.ts";

/** A clock that stands still until it is told. */
class ManualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Map<symbol, { readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): () => void {
    const key = Symbol();
    this.#timers.set(key, { atMs: this.#nowMs + ms, callback });
    return () => this.#timers.delete(key);
  }

  get timers(): number {
    return this.#timers.size;
  }

  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { atMs }]) =>
        atMs <= end
      ).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      const [key, { atMs, callback }] = due;
      this.#timers.delete(key);
      this.#nowMs = atMs;
      callback();
      await turn();
    }
    this.#nowMs = end;
    await turn();
  }
}

/** Lets everything happen that needs no more bytes and no more time. */
async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

class Bench {
  readonly clock = new ManualClock();
  readonly frames = new FrameFactory();
  readonly server: GrpcServer;
  /** How many pieces the server wrote since the last look. */
  writes = 0;
  ended = false;
  readonly #client: ByteStream;
  readonly #log = new FrameLog();
  #received: Uint8Array[] = [];

  constructor(limits: Partial<GrpcLimits> = {}) {
    this.server = new GrpcServer({ clock: this.clock, limits });
    this.server.method("/test.Service/Method", { kind: "unary", handle: (request) => request });
    this.server.method("/test.Service/Count", {
      kind: "server_streaming",
      handle: async (_request, call) => {
        for (let i = 0; i < 1_000; i++) call.send(new Uint8Array(10));
        await Promise.resolve();
      },
    });
    const [client, server] = memoryPipe();
    this.#client = client;
    void this.server.handle(server);
    void this.#receive();
  }

  async #receive(): Promise<void> {
    for (let bytes = await this.#client.read(); bytes !== null; bytes = await this.#client.read()) {
      this.#received.push(bytes);
      this.writes++;
    }
    this.ended = true;
  }

  async say(...pieces: readonly Uint8Array[]): Promise<string[]> {
    await this.#client.write(concat(...pieces));
    return await this.hear();
  }

  async hear(): Promise<string[]> {
    await turn();
    return this.#log.read(concat(...this.#received.splice(0)));
  }

  async hello(): Promise<void> {
    await this.say(this.frames.hello());
    this.writes = 0;
  }

  close(): void {
    this.#client.close();
  }
}

function framed(...bytes: number[]): Uint8Array {
  return concat(messagePrefix(bytes.length), bytes);
}

async function answerTo(
  fields: Readonly<Record<string, string>>,
  body: Uint8Array = framed(1, 2, 3),
): Promise<string[]> {
  const bench = new Bench();
  await bench.hello();
  const lines = await bench.say(
    bench.frames.headers(1, { ...REQUEST, ...fields }),
    bench.frames.data(1, body, true),
  );
  bench.close();
  return lines;
}

Deno.test("GrpcServer answers a call with headers, a message and a status, in one write", async () => {
  const bench = new Bench();
  await bench.hello();
  assert.deepEqual(
    await bench.say(bench.frames.headers(1, REQUEST), bench.frames.data(1, framed(7), true)),
    [
      "HEADERS 1 :status=200 content-type=application/grpc",
      "DATA 1 6",
      "HEADERS 1 END_STREAM grpc-status=0",
    ],
  );
  assert.equal(bench.writes, 1);
  bench.close();
});

Deno.test("GrpcServer sends a thousand small messages of one turn in one frame and one write", async () => {
  const bench = new Bench();
  await bench.hello();
  const fields = { ...REQUEST, ":path": "/test.Service/Count" };
  const lines = await bench.say(bench.frames.headers(1, fields), bench.frames.data(1, framed(), true));
  // The handler ends one step after its messages: the status may leave on its own.
  assert.ok(bench.writes <= 2, `${bench.writes} writes`);
  assert.equal(lines.filter((line) => line.startsWith("DATA")).length, 1);
  assert.ok(lines.includes("DATA 1 15000"));
  bench.close();
});

Deno.test("GrpcServer ends a call whose deadline is already over, and one whose timeout is malformed", async () => {
  const over = await answerTo({ "grpc-timeout": "0m" });
  assert.match(over[0] ?? "", /END_STREAM .*grpc-status=4 grpc-message=/);
  for (const timeout of ["", "10", "m", "-1m", "123456789m", "1x"]) {
    const malformed = await answerTo({ "grpc-timeout": timeout });
    assert.match(malformed[0] ?? "", /grpc-status=13/, timeout);
  }
});

Deno.test("GrpcServer ends a call when its deadline passes while the request is on its way", async () => {
  const bench = new Bench();
  await bench.hello();
  assert.deepEqual(await bench.say(bench.frames.headers(1, { ...REQUEST, "grpc-timeout": "100m" })), []);
  await bench.clock.advance(99);
  assert.deepEqual(await bench.hear(), []);
  await bench.clock.advance(1);
  assert.match((await bench.hear())[0] ?? "", /grpc-status=4/);
  bench.close();
});

Deno.test("GrpcServer refuses what is no gRPC with the HTTP status that says so", async () => {
  assert.match((await answerTo({ ":method": "GET" }))[0] ?? "", /END_STREAM :status=405/);
  assert.match((await answerTo({ "content-type": "application/json" }))[0] ?? "", /END_STREAM :status=415/);
  assert.match((await answerTo({ "content-type": "application/grpcx" }))[0] ?? "", /END_STREAM :status=415/);
  assert.match((await answerTo({ "content-type": "application/grpc+proto" }))[0] ?? "", /:status=200/);
});

Deno.test("GrpcServer refuses unknown encodings and a compressed flag without one", async () => {
  const unknown = await answerTo({ "grpc-encoding": "gzip" });
  assert.match(unknown[0] ?? "", /grpc-status=12 grpc-accept-encoding=identity grpc-message=.*gzip/);
  const flag = await answerTo({}, concat([1, 0, 0, 0, 1], [7]));
  assert.match(flag[0] ?? "", /grpc-status=13 grpc-message=.*compressed/);
});

Deno.test("GrpcServer refuses a unary call with no message, with two, and with a cut one", async () => {
  assert.match((await answerTo({}, new Uint8Array(0)))[0] ?? "", /grpc-status=13 grpc-message=.*missing/);
  assert.match(
    (await answerTo({}, concat(framed(1), framed(2))))[0] ?? "",
    /grpc-status=13 grpc-message=.*more than one/,
  );
  assert.match(
    (await answerTo({}, framed(1, 2, 3).subarray(0, 6)))[0] ?? "",
    /grpc-status=13 grpc-message=.*cut/,
  );
});

Deno.test("GrpcServer closes a connection that sends no preface and SETTINGS in time", async () => {
  for (const beginning of [new Uint8Array(0), new FrameFactory().hello().subarray(0, 10)]) {
    const bench = new Bench({ handshakeTimeoutMs: 500 });
    await bench.say(beginning);
    await bench.clock.advance(499);
    assert.equal(bench.ended, false);
    await bench.clock.advance(1);
    assert.equal(bench.ended, true);
    await bench.clock.advance(2_000);
    assert.equal(bench.server.connections, 0);
    assert.equal(bench.clock.timers, 0);
  }
});

Deno.test("GrpcServer keeps alive a silent connection that answers its PING, and closes one that does not", async () => {
  const limits = { keepAliveIntervalMs: 1_000, keepAliveTimeoutMs: 200 };
  const bench = new Bench(limits);
  await bench.hello();
  for (let round = 0; round < 5; round++) {
    await bench.clock.advance(999);
    assert.deepEqual(await bench.hear(), []);
    await bench.clock.advance(1);
    assert.deepEqual(await bench.hear(), ["PING 0"]);
    await bench.say(bench.frames.ping(true));
  }
  await bench.clock.advance(1_000);
  assert.deepEqual(await bench.hear(), ["PING 0"]);
  await bench.clock.advance(199);
  assert.equal(bench.ended, false);
  await bench.clock.advance(1);
  assert.equal(bench.ended, true);
  assert.equal(bench.server.connections, 0);
  assert.equal(bench.clock.timers, 0);
});

Deno.test("GrpcServer closes connections above its number at once", async () => {
  const bench = new Bench({ maxConnections: 1 });
  await bench.hello();
  const [client, server] = memoryPipe();
  await bench.server.handle(server);
  assert.equal(await client.read(), null);
  assert.equal(bench.server.connections, 1);
  bench.close();
});

Deno.test("GrpcServer gives the memory of a header list above its limits no chance, and goes on", async () => {
  const bench = new Bench();
  await bench.hello();
  const many = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`x-${index}`, "y"]));
  assert.deepEqual(await bench.say(bench.frames.headers(1, { ...REQUEST, ...many })), ["RST_STREAM 1 11"]);
  const lines = await bench.say(bench.frames.headers(3, REQUEST), bench.frames.data(3, framed(1), true));
  assert.equal(lines.at(-1), "HEADERS 3 END_STREAM grpc-status=0");
  assert.deepEqual(await bench.say(bench.frames.frame(FrameType.PING, 0, 0, new Uint8Array(8))), [
    "PING 0 ACK",
  ]);
  bench.close();
});
