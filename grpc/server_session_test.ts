/** What a server does with a connection whose every frame and every millisecond the test decides. */
import assert from "node:assert/strict";
import type { Clock } from "./clock.ts";
import { ErrorCode } from "./http2/error_code.ts";
import { FrameType } from "./http2/frame/frame_type.ts";
import { concat, FrameFactory, REQUEST } from "./http2/testing/frame_factory.ts";
import { FrameLog } from "./http2/testing/frame_log.ts";
import type { GrpcLimits } from "./limits.ts";
import { messagePrefix } from "./message_reader.ts";
import { GrpcServer } from "./server.ts";
import { StatusError } from "./status.ts";
import type { ByteStream } from "./transport/byte_stream.ts";
import { ManualClock, turn } from "./testing/manual_clock.ts";
import { memoryPipe } from "./transport/memory.ts";

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

Deno.test("GrpcServer tells what is no gRPC what it takes, with the HTTP status that says so", async () => {
  const plain = "content-type=text/plain; charset=utf-8";
  assert.deepEqual(await answerTo({ ":method": "GET" }), [
    `HEADERS 1 :status=405 allow=POST ${plain}`,
    "DATA 1 END_STREAM 104",
  ]);
  for (const contentType of ["application/json", "application/grpcx"]) {
    const [headers] = await answerTo({ "content-type": contentType });
    assert.equal(headers, `HEADERS 1 :status=415 accept=application/grpc ${plain}`);
  }
  assert.deepEqual(await answerTo({ ":method": "HEAD" }), ["HEADERS 1 END_STREAM :status=405 allow=POST"]);
  assert.match((await answerTo({ "content-type": "application/grpc+proto" }))[0] ?? "", /:status=200/);
});

Deno.test("GrpcServer answers what is no gRPC when the request has ended, or has become too long", async () => {
  const bench = new Bench({ maxReceiveMessageBytes: 1_000 });
  await bench.hello();
  const { frames } = bench;
  assert.deepEqual(await bench.say(frames.headers(1, { ...REQUEST, ":method": "PUT" })), []);
  assert.deepEqual(await bench.say(frames.data(1, new Uint8Array(1_000))), []);
  assert.match((await bench.say(frames.data(1, new Uint8Array(1))))[0] ?? "", /:status=405/);
  await bench.say(frames.headers(3, { ...REQUEST, ":method": "PUT" }));
  assert.match((await bench.say(frames.data(3, new Uint8Array(0), true)))[0] ?? "", /^HEADERS 3 :status=405/);
  bench.close();
});

Deno.test("GrpcServer refuses unknown encodings and a compressed flag without one", async () => {
  const unknown = await answerTo({ "grpc-encoding": "br" });
  const supported = "identity,gzip,zstd,snappy,lz4";
  assert.match(unknown[0] ?? "", new RegExp(`grpc-status=12 .*grpc-accept-encoding=${supported}$`));
  assert.match(unknown[0] ?? "", new RegExp(`"br" is not supported; send one of ${supported}`));
  const flag = await answerTo({}, concat([1, 0, 0, 0, 1], [7]));
  assert.match(flag[0] ?? "", /grpc-status=13 grpc-message=.*compressed/);
});

Deno.test("GrpcServer answers in the encoding of the request where the client accepts it, else uncompressed", async () => {
  const encoding = { "grpc-encoding": "gzip" };
  assert.doesNotMatch((await answerTo(encoding))[0] ?? "", /grpc-encoding/);
  assert.doesNotMatch(
    (await answerTo({ ...encoding, "grpc-accept-encoding": "zstd" }))[0] ?? "",
    /grpc-encoding/,
  );
  assert.match(
    (await answerTo({ ...encoding, "grpc-accept-encoding": "zstd, gzip" }))[0] ?? "",
    /:status=200 content-type=application\/grpc grpc-encoding=gzip grpc-accept-encoding=identity,gzip/,
  );
  assert.doesNotMatch((await answerTo({ "grpc-accept-encoding": "gzip" }))[0] ?? "", /grpc-encoding/);
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

Deno.test("GrpcServer closes connections above its number at once where all have calls", async () => {
  const bench = new Bench({ maxConnections: 1 });
  await bench.hello();
  await bench.say(bench.frames.headers(1, REQUEST));
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

/** Connects once more to the server of a bench, and says `first`. */
async function another(bench: Bench, first: Uint8Array): Promise<ByteStream> {
  const [client, server] = memoryPipe();
  void bench.server.handle(server);
  await client.write(first);
  await turn();
  return client;
}

async function isClosed(client: ByteStream): Promise<boolean> {
  let ended = false;
  void (async () => {
    while (await client.read() !== null);
    ended = true;
  })();
  await turn();
  return ended;
}

Deno.test("GrpcServer gives the place of the oldest connection without a preface to a new one", async () => {
  const bench = new Bench({ maxConnections: 4 });
  await bench.hello();
  const hello = new FrameFactory().hello();
  const oldest = await another(bench, hello.subarray(0, 10));
  const younger = await another(bench, hello.subarray(0, 10));
  const idle = await another(bench, hello);
  const honest = await another(bench, hello);
  assert.equal(await isClosed(oldest), true);
  for (const client of [younger, idle, honest]) assert.equal(await isClosed(client), false);
  assert.equal(bench.server.connections, 4);
  assert.equal(bench.ended, false);
  for (const client of [younger, idle, honest]) client.close();
  bench.close();
});

Deno.test("GrpcServer gives the place of the connection that is silent longest to a new one, with a GOAWAY", async () => {
  const bench = new Bench({ maxConnections: 3 });
  const frames = new FrameFactory();
  const busy = await another(bench, concat(frames.hello(), frames.headers(1, REQUEST)));
  await bench.clock.advance(10);
  const recent = await another(bench, new FrameFactory().hello());
  await bench.hello();
  await bench.clock.advance(10);
  await recent.write(new FrameFactory().ping());
  await turn();
  const newcomer = await another(bench, new FrameFactory().hello());
  assert.deepEqual(await bench.hear(), ["GOAWAY 0 0"]);
  assert.equal(bench.ended, true);
  for (const client of [busy, recent, newcomer]) assert.equal(await isClosed(client), false);
  assert.equal(bench.server.connections, 3);
  for (const client of [busy, recent, newcomer]) client.close();
});

Deno.test("GrpcServer gives the place of a connection with what is no gRPC and does not end to a new one", async () => {
  const bench = new Bench({ maxConnections: 1 });
  await bench.hello();
  await bench.say(bench.frames.headers(1, { ...REQUEST, ":method": "PUT" }));
  const newcomer = await another(bench, new FrameFactory().hello());
  assert.deepEqual(await bench.hear(), ["GOAWAY 0 0"]);
  assert.equal(bench.ended, true);
  assert.equal(await isClosed(newcomer), false);
  newcomer.close();
});

Deno.test("GrpcServer answers what is no gRPC without its end after a while, as a client that waits for that needs", async () => {
  const bench = new Bench({ handshakeTimeoutMs: 1_000, keepAliveIntervalMs: 0, stallTimeoutMs: 0 });
  await bench.hello();
  await bench.say(bench.frames.headers(1, { ...REQUEST, "content-type": "application/connect+json" }));
  await bench.clock.advance(999);
  assert.deepEqual(await bench.hear(), []);
  await bench.clock.advance(1);
  assert.match((await bench.hear()).join(), /HEADERS 1 :status=415.*RST_STREAM 1 0/);
  await bench.say(bench.frames.headers(3, { ...REQUEST, ":method": "PUT" }), bench.frames.rstStream(3, 8));
  assert.equal(bench.clock.timers, 0);
  bench.close();
});

Deno.test("GrpcServer.shutdown waits for no end of what is no gRPC", async () => {
  const bench = new Bench();
  await bench.hello();
  await bench.say(bench.frames.headers(1, { ...REQUEST, ":method": "PUT" }));
  const down = bench.server.shutdown(60_000);
  const lines = await bench.hear();
  assert.match(lines.join(), /HEADERS 1 :status=405.*RST_STREAM 1 0/);
  bench.close();
  await down;
});

const COUNT = { ...REQUEST, ":path": "/test.Service/Count" };
const STREAM_WINDOW = 0x4;
const UNAVAILABLE_14 = /^HEADERS 1 END_STREAM grpc-status=14 grpc-message=the client took nothing/;

Deno.test("GrpcServer ends a call of which nothing was taken for the stall timeout with UNAVAILABLE", async () => {
  const bench = new Bench({ stallTimeoutMs: 1_000, keepAliveIntervalMs: 0 });
  await bench.say(bench.frames.hello([[STREAM_WINDOW, 100]]));
  const lines = await bench.say(bench.frames.headers(1, COUNT), bench.frames.data(1, framed(), true));
  assert.deepEqual(lines.slice(-2), [
    "HEADERS 1 :status=200 content-type=application/grpc",
    "DATA 1 100",
  ]);
  // Whoever takes a byte now and then is slow, and not stalled.
  for (let round = 0; round < 4; round++) {
    await bench.clock.advance(900);
    assert.deepEqual(await bench.say(bench.frames.windowUpdate(1, 1)), ["DATA 1 1"]);
  }
  await bench.clock.advance(999);
  assert.deepEqual(await bench.hear(), []);
  await bench.clock.advance(501);
  const ended = await bench.hear();
  assert.match(ended[0] ?? "", UNAVAILABLE_14);
  assert.equal(ended.length, 1, "END_STREAM both ways: no RST_STREAM");
  assert.equal(bench.ended, false, "the connection goes on");
  assert.deepEqual(await bench.say(bench.frames.ping()), ["PING 0 ACK"]);
  await bench.clock.advance(2_000);
  assert.equal(bench.clock.timers, 0, "nothing waits: nobody looks");
  bench.close();
});

Deno.test("GrpcServer ends a stalled call whose handler still sends, and wakes the handler", async () => {
  const bench = new Bench({ stallTimeoutMs: 1_000, maxQueuedBytes: 1_000, keepAliveIntervalMs: 0 });
  let thrown: unknown;
  bench.server.method("/test.Service/Endless", {
    kind: "server_streaming",
    handle: async (_request, call) => {
      try {
        for (;;) await call.write(new Uint8Array(100));
      } catch (error) {
        thrown = error;
        throw error;
      }
    },
  });
  await bench.say(bench.frames.hello([[STREAM_WINDOW, 0]]));
  const fields = { ...REQUEST, ":path": "/test.Service/Endless" };
  await bench.say(bench.frames.headers(1, fields), bench.frames.data(1, framed(), true));
  await bench.clock.advance(1_500);
  assert.match((await bench.hear())[0] ?? "", UNAVAILABLE_14);
  assert.match(String(thrown), /took nothing of its answer for 1000 ms; call again to go on/);
  bench.close();
});

Deno.test("GrpcServer leaves a reader alone who pauses while nothing waits, and waits for ever with a timeout of 0", async () => {
  for (const [stallTimeoutMs, window] of [[1_000, 15_000], [0, 0]] as const) {
    const bench = new Bench({ stallTimeoutMs, keepAliveIntervalMs: 0 });
    bench.server.method("/test.Service/Pause", {
      kind: "server_streaming",
      handle: async (_request, call) => {
        for (let i = 0; i < 1_000; i++) call.send(new Uint8Array(10));
        await new Promise(() => {});
      },
    });
    await bench.say(bench.frames.hello([[STREAM_WINDOW, window]]));
    const fields = { ...REQUEST, ":path": "/test.Service/Pause" };
    await bench.say(bench.frames.headers(1, fields), bench.frames.data(1, framed(), true));
    await bench.clock.advance(1_000_000);
    assert.deepEqual(await bench.hear(), []);
    assert.equal(bench.ended, false);
    assert.equal(bench.clock.timers, 0);
    bench.close();
  }
});

Deno.test("GrpcServer closes a connection that takes no bytes for the stall timeout while output waits", async () => {
  const clock = new ManualClock();
  const frames = new FrameFactory();
  const server = new GrpcServer({ clock, limits: { stallTimeoutMs: 1_000, keepAliveIntervalMs: 0 } });
  const large = new Uint8Array(200_000);
  server.method("/test.Service/Method", { kind: "unary", handle: () => large });
  const [client, theirs] = memoryPipe();
  const stuck: (() => void)[] = [];
  void server.handle({
    peer: "stuck",
    read: () => theirs.read(),
    write: () => new Promise((resolve) => stuck.push(resolve)),
    closeWrite: () => theirs.closeWrite(),
    close: () => theirs.close(),
  });
  await client.write(concat(frames.hello([[STREAM_WINDOW, 1_000_000]]), frames.windowUpdate(0, 1_000_000)));
  await client.write(concat(frames.headers(1, REQUEST), frames.data(1, framed(), true)));
  await turn();
  stuck.shift()?.(); // SETTINGS
  await turn();
  // The answer leaves piece by piece, each just in time.
  for (let piece = 0; piece < 2; piece++) {
    await clock.advance(990);
    stuck.shift()?.();
    await turn();
  }
  assert.equal(server.connections, 1);
  await clock.advance(990);
  assert.equal(server.connections, 1);
  await clock.advance(300);
  assert.equal(server.connections, 0);
  assert.equal(clock.timers, 0);
});

Deno.test("GrpcServer ends a call whose answer would wait behind too many of its connection", async () => {
  const limits = { maxQueuedBytes: 1_000, maxQueuedBytesPerConnection: 3_000, keepAliveIntervalMs: 0 };
  const bench = new Bench(limits);
  await bench.say(bench.frames.hello([[STREAM_WINDOW, 0]]));
  const body = new Uint8Array(1_000);
  const statuses: string[] = [];
  for (let id = 1; id < 40; id += 2) {
    const lines = await bench.say(
      bench.frames.headers(id, REQUEST),
      bench.frames.data(id, concat(messagePrefix(body.length), body), true),
    );
    statuses.push(...lines.filter((line) => line.includes("grpc-status")));
  }
  assert.equal(statuses.length, 17, "three wait, the others were told");
  for (const status of statuses) {
    assert.match(status, /grpc-status=14 grpc-message=3015 bytes of answers wait/);
  }
  // One whose window is open is answered as ever.
  assert.deepEqual(
    await bench.say(
      bench.frames.headers(201, REQUEST),
      bench.frames.windowUpdate(201, 100),
      bench.frames.data(201, framed(1), true),
    ),
    [
      "HEADERS 201 :status=200 content-type=application/grpc",
      "DATA 201 6",
      "HEADERS 201 END_STREAM grpc-status=0",
    ],
  );
  bench.close();
});

/** A server whose method "Page" sends pages of 1,000 bytes in turns; the test decides when each is made. */
class PagesBench extends Bench {
  /** The streams whose page is being made, in the order in which they began. */
  readonly making: number[] = [];
  /** Streams whose turn ended without a page, and with which status. */
  readonly left: string[] = [];
  readonly #made: (() => void)[] = [];

  constructor() {
    super({
      maxQueuedBytesAhead: 3_000,
      maxTurnsPerConnection: 2,
      keepAliveIntervalMs: 0,
      stallTimeoutMs: 0,
    });
    this.server.method("/test.Service/Page", {
      kind: "server_streaming",
      handle: async (request, call) => {
        const id = request[0] ?? 0;
        try {
          const page = await call.inTurn(() => {
            this.making.push(id);
            return new Promise<Uint8Array>((resolve) => this.#made.push(() => resolve(new Uint8Array(995))));
          });
          call.send(page);
        } catch (error) {
          this.left.push(`${id} ${error instanceof StatusError && error.code}`);
          throw error;
        }
      },
    });
  }

  /** Calls on streams of these numbers; returns what was said. */
  async call(...ids: readonly number[]): Promise<string[]> {
    const fields = { ...REQUEST, ":path": "/test.Service/Page" };
    return await this.say(
      ...ids.map((id) => concat(this.frames.headers(id, fields), this.frames.data(id, framed(id), true))),
    );
  }

  /** The page that was begun first is made. */
  async made(): Promise<string[]> {
    this.#made.shift()?.();
    return await this.hear();
  }
}

Deno.test("StreamingServerCall.inTurn lets a connection's calls make a page in order, few at a time, while little waits", async () => {
  const bench = new PagesBench();
  await bench.say(bench.frames.hello([[STREAM_WINDOW, 0]]));
  await bench.call(1, 3, 5, 7, 9, 11);
  assert.deepEqual(bench.making, [1, 3]);
  await bench.made();
  assert.deepEqual(bench.making, [1, 3, 5]);
  await bench.made();
  assert.deepEqual(bench.making, [1, 3, 5, 7]);
  await bench.made();
  assert.deepEqual(bench.making, [1, 3, 5, 7, 9], "its turn came just before the third page was sent");
  await bench.made();
  await bench.made();
  assert.deepEqual(bench.making, [1, 3, 5, 7, 9], "5,000 bytes wait");
  await bench.say(bench.frames.windowUpdate(1, 1_000), bench.frames.windowUpdate(3, 1_000));
  assert.deepEqual(bench.making, [1, 3, 5, 7, 9], "3,000 bytes wait");
  await bench.say(bench.frames.windowUpdate(5, 1));
  assert.deepEqual(bench.making, [1, 3, 5, 7, 9, 11]);
  bench.close();
});

Deno.test("StreamingServerCall.inTurn lets a call with an open window pass those who can't send", async () => {
  const bench = new PagesBench();
  await bench.say(bench.frames.hello([[STREAM_WINDOW, 0]]));
  await bench.call(1, 3, 5, 7, 9, 11);
  for (let page = 0; page < 5; page++) await bench.made();
  await bench.say(bench.frames.windowUpdate(11, 16_383));
  assert.deepEqual(bench.making, [1, 3, 5, 7, 9]);
  await bench.say(bench.frames.windowUpdate(11, 1));
  assert.deepEqual(bench.making, [1, 3, 5, 7, 9, 11]);
  assert.deepEqual(await bench.made(), [
    "HEADERS 11 :status=200 content-type=application/grpc",
    "DATA 11 1000",
    "HEADERS 11 END_STREAM grpc-status=0",
  ]);
  bench.close();
});

Deno.test("StreamingServerCall.inTurn makes nothing for a call that ended while it waited, and holds its turn until what was begun is made", async () => {
  const bench = new PagesBench();
  await bench.say(bench.frames.hello([[STREAM_WINDOW, 0]]));
  await bench.call(1, 3, 5, 7);
  await bench.say(bench.frames.rstStream(5, ErrorCode.CANCEL), bench.frames.rstStream(1, ErrorCode.CANCEL));
  assert.deepEqual(bench.making, [1, 3], "the reading for a call that is gone goes on");
  assert.deepEqual(bench.left, ["5 1"]);
  await bench.made();
  assert.deepEqual(bench.left, ["5 1", "1 1"]);
  assert.deepEqual(bench.making, [1, 3, 7]);
  bench.close();
  await turn();
  await bench.made();
  await bench.made();
  assert.deepEqual(bench.left.slice(2), ["3 1", "7 1"]);
});

Deno.test("StreamingServerCall.inTurn throws the reason of its signal, before its turn and in it", async () => {
  const bench = new Bench({ maxTurnsPerConnection: 1 });
  const stop = new AbortController();
  const reasons: unknown[] = [];
  let finish = () => {};
  bench.server.method("/test.Service/Turn", {
    kind: "server_streaming",
    handle: async (_request, call) => {
      const turn = call.inTurn(() => new Promise<void>((resolve) => finish = resolve), stop.signal);
      await turn.catch((reason) => reasons.push(reason));
    },
  });
  await bench.hello();
  const fields = { ...REQUEST, ":path": "/test.Service/Turn" };
  for (const id of [1, 3]) {
    await bench.say(bench.frames.headers(id, fields), bench.frames.data(id, framed(), true));
  }
  stop.abort("enough");
  await turn();
  assert.deepEqual(reasons, ["enough"]);
  finish();
  await turn();
  assert.deepEqual(reasons, ["enough", "enough"]);
  bench.close();
});

Deno.test("GrpcServer leaves a flooding connection alone for a while after its GOAWAY, then closes it", async () => {
  const bench = new Bench({ calmTimeoutMs: 250 });
  await bench.hello();
  const flood = Array.from({ length: 1_000 }, () => bench.frames.ping());
  const lines = await bench.say(...flood);
  assert.match(lines.at(-1) ?? "", /^GOAWAY 0 11$/);
  await bench.clock.advance(249);
  assert.equal(bench.ended, false);
  assert.deepEqual(await bench.say(bench.frames.headers(1, REQUEST)), []);
  await bench.clock.advance(1);
  assert.equal(bench.ended, true);
});

Deno.test("GrpcServer lets other connections in between the pieces of a large read", async () => {
  // A clock on which every look costs a millisecond: each piece takes long.
  let nowMs = 0;
  const clock: Clock = { nowMs: () => nowMs++, after: () => () => {} };
  const order: string[] = [];
  const server = new GrpcServer({ clock }).method("/test.Service/Method", {
    kind: "unary",
    handle: (request, call) => {
      order.push(String(call.metadata.get("who")));
      return request;
    },
  });
  const connections = ["busy", "other"].map((who) => {
    const [client, accepted] = memoryPipe();
    void server.handle(accepted);
    return { who, client, frames: new FrameFactory() };
  });
  for (const { client, frames } of connections) await client.write(frames.hello());
  await turn();
  const calls = (frames: FrameFactory, who: string, count: number) =>
    concat(...Array.from({ length: count }, (_, at) =>
      concat(
        frames.headers(1 + 2 * at, { ...REQUEST, who }),
        frames.data(1 + 2 * at, framed(...new Uint8Array(200)), true),
      )));
  const [busy, other] = connections;
  assert(busy !== undefined && other !== undefined);
  const writing = [
    busy.client.write(calls(busy.frames, "busy", 100)),
    other.client.write(calls(other.frames, "other", 1)),
  ];
  await Promise.all(writing);
  while (order.length < 101) await turn();
  assert(order.indexOf("other") < 100, `after ${order.indexOf("other")} of 100 calls`);
  for (const { client } of connections) client.close();
});
