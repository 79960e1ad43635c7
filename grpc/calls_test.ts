/** Every kind of call over every transport: one suite, so that all of them mean the same. */
import assert from "node:assert/strict";
import { Channel } from "./channel.ts";
import { systemClock } from "./clock.ts";
import { DEFAULT_HTTP2_LIMITS } from "./http2/limits.ts";
import { SettingId } from "./http2/settings.ts";
import { concat, FrameFactory } from "./http2/testing/frame_factory.ts";
import { FrameLog } from "./http2/testing/frame_log.ts";
import type { GrpcLimits } from "./limits.ts";
import { FramedMessage } from "./message_reader.ts";
import { Metadata } from "./metadata.ts";
import { GrpcServer } from "./server.ts";
import type { ServerCall } from "./server_call.ts";
import { Status, StatusError } from "./status.ts";
import type { Connect, Listener } from "./transport/byte_stream.ts";
import { listenMemory, memoryPipe } from "./transport/memory.ts";
import { connectTcpOverNode, connectUnixOverNode } from "./transport/node_socket.ts";
import { connectTcp, listenTcp, type TcpAddress } from "./transport/tcp.ts";
import { connectQuic } from "./transport/quic/connect.ts";
import { listenQuic } from "./transport/quic/listen.ts";
import { ServerTls } from "./transport/server_tls.ts";
import {
  connectOverBadNetwork,
  listenOverBadNetwork,
  seededRandom,
} from "./transport/testing/bad_network.ts";
import { CertificateAuthority } from "./transport/testing/certificate_authority.ts";
import { connectTls } from "./transport/tls_client.ts";
import type { TlsProtocol } from "./transport/tls_protocol.ts";
import { listenTls } from "./transport/tls_server.ts";
import { connectUnix, listenUnix } from "./transport/unix.ts";
import { connectWebSocket } from "./transport/websocket/connect.ts";
import { listenWebSocket } from "./transport/websocket/listen.ts";
import { connectPlatformWebSocket } from "./transport/websocket/platform.ts";

interface Place {
  readonly listener: Listener;
  readonly connect: Connect;
}

const LOCAL = { hostname: "127.0.0.1", port: 0 };
const authority = await CertificateAuthority.create();
const serverTls = await ServerTls.load(await authority.issueLocal());

function tcpPlace(connect: typeof connectTcp): Place {
  const listener = listenTcp(LOCAL);
  return { listener, connect: connect(addressOf(listener)) };
}

async function tlsPlace(protocol: TlsProtocol = "h2"): Promise<Place> {
  const listener = await listenTls(LOCAL, serverTls, { protocol });
  return { listener, connect: connectTls(addressOf(listener), { ca: authority.cert }, protocol) };
}

function addressOf({ address }: Listener): TcpAddress {
  return { ...LOCAL, port: Number(/\d+$/.exec(address)?.[0]) };
}

async function unixPlace(connect: typeof connectUnix): Promise<Place> {
  const path = `${await Deno.makeTempDir()}/test.sock`;
  return { listener: await listenUnix(path), connect: connect(path) };
}

const TRANSPORTS: Readonly<Record<string, () => Place | Promise<Place>>> = {
  memory: () => {
    const listener = listenMemory();
    return { listener, connect: listener.connect };
  },
  "memory, late and cut at random": () => {
    const random = seededRandom(7);
    const trouble = () => ({ random, maxDelayMs: 2, breaksAfterBytes: Infinity });
    const listener = listenMemory();
    return {
      listener: listenOverBadNetwork(listener, trouble),
      connect: connectOverBadNetwork(listener.connect, trouble),
    };
  },
  tcp: () => tcpPlace(connectTcp),
  unix: () => unixPlace(connectUnix),
  tls: () => tlsPlace(),
  websocket: () => {
    const { listener, connect } = tcpPlace(connectTcp);
    return { listener: listenWebSocket(listener), connect: connectWebSocket(connect, "localhost") };
  },
  "websocket over tls": async () => {
    const { listener, connect } = await tlsPlace("http/1.1");
    return { listener: listenWebSocket(listener), connect: connectWebSocket(connect, "localhost") };
  },
  quic: () => {
    const listener = listenQuic(LOCAL, serverTls, { protocol: "test" });
    return {
      listener,
      connect: connectQuic(addressOf(listener), { protocol: "test", ca: authority.cert }),
    };
  },
  "websocket of the platform": () => {
    const listener = listenWebSocket(listenTcp(LOCAL));
    return { listener, connect: connectPlatformWebSocket(listener.address) };
  },
  "tcp through node:net": () => tcpPlace(connectTcpOverNode),
  "unix through node:net": () => unixPlace(connectUnixOverNode),
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const text = (value: string) => encoder.encode(value);

/** A server and a channel to it; `calls` holds what the handlers saw last. */
class Fixture implements AsyncDisposable {
  readonly server: GrpcServer;
  readonly channel: Channel;
  readonly calls: ServerCall[] = [];
  readonly errors: unknown[] = [];
  /** Messages that the endless handler has been able to send. */
  sent = 0;
  readonly #serving: Promise<void>;

  constructor({ listener, connect }: Place, limits: Partial<GrpcLimits> = {}) {
    this.server = new GrpcServer({ limits, onError: (error) => this.errors.push(error) });
    this.#addMethods();
    this.#serving = this.server.serve(listener);
    this.channel = new Channel(connect, { limits });
  }

  #addMethods(): void {
    const seen = (call: ServerCall) => void this.calls.push(call);
    this.server
      .method("/test.Test/Echo", { kind: "unary", handle: (request) => request })
      .method("/test.Test/EchoFramed", { kind: "unary", handle: (request) => FramedMessage.of(request) })
      .method("/test.Test/Throw", {
        kind: "unary",
        handle: () => {
          throw new TypeError("a secret of the server");
        },
      })
      .method("/test.Test/Status", {
        kind: "unary",
        handle(request, call) {
          call.trailer.append("reason", "because");
          throw new StatusError(Status.FAILED_PRECONDITION, decoder.decode(request));
        },
      })
      .method("/test.Test/Metadata", {
        kind: "unary",
        handle(request, call) {
          for (const [name, value] of call.metadata.entries()) {
            call.header.append(name, value);
            call.trailer.append(name, value);
          }
          return request;
        },
      })
      .method("/test.Test/Sleep", {
        kind: "unary",
        async handle(request, call) {
          seen(call);
          await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
          return request;
        },
      })
      .method("/test.Test/Count", {
        kind: "server_streaming",
        async handle(request, call) {
          const count = Number(decoder.decode(request));
          for (let i = 0; i < count; i++) await call.write(text(String(i)));
        },
      })
      .method("/test.Test/Endless", {
        kind: "server_streaming",
        handle: async (_request, call) => {
          seen(call);
          for (;;) {
            await call.write(new Uint8Array(10_000));
            this.sent++;
          }
        },
      })
      .method("/test.Test/Sum", {
        kind: "client_streaming",
        async handle(requests, call) {
          seen(call);
          let sum = 0;
          for await (const request of requests) sum += Number(decoder.decode(request));
          return text(String(sum));
        },
      })
      .method("/test.Test/Large", {
        kind: "server_streaming",
        async handle(_request, call) {
          call.send(new Uint8Array(1));
          for (let i = 0; i < 3; i++) call.send(new Uint8Array(1_000_000));
          await Promise.resolve();
        },
      })
      .method("/test.Test/Ignore", { kind: "bidi_streaming", handle: () => Promise.resolve() })
      .method("/test.Test/Chat", {
        kind: "bidi_streaming",
        async handle(requests, call) {
          seen(call);
          for await (const request of requests) await call.write(request);
        },
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
    await this.server.shutdown(0);
    await this.#serving;
  }
}

async function failure(promise: Promise<unknown>): Promise<StatusError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StatusError) return error;
    throw error;
  }
  assert.fail("the call did not fail");
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2_000; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.fail(`${what}: not within four seconds`);
}

async function settled(value: () => number): Promise<number> {
  for (let last = -1;;) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const now = value();
    if (now === last) return now;
    last = now;
  }
}

for (const [name, place] of Object.entries(TRANSPORTS)) {
  Deno.test(`Channel over ${name}: unary calls of every size come back unchanged`, async () => {
    await using fixture = new Fixture(await place());
    for (const size of [0, 1, 16_379, 16_380, 100_000, 4_194_304]) {
      const message = new Uint8Array(size).map((_, index) => index);
      assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", message), message);
      assert.deepEqual(await fixture.channel.unary("/test.Test/EchoFramed", message), message);
    }
  });

  Deno.test(`Channel over ${name}: a thousand calls at once share one connection`, async () => {
    await using fixture = new Fixture(await place());
    const answers = await Promise.all(
      Array.from({ length: 1_000 }, (_, i) => fixture.channel.unary("/test.Test/Echo", text(String(i)))),
    );
    assert.deepEqual(answers.map((answer) => Number(decoder.decode(answer))), [...Array(1_000).keys()]);
    assert.equal(fixture.server.connections, 1);
  });

  Deno.test(`Channel over ${name}: server streaming keeps the order, and an empty stream ends well`, async () => {
    await using fixture = new Fixture(await place());
    const numbers: number[] = [];
    for await (const message of fixture.channel.serverStreaming("/test.Test/Count", text("5000"))) {
      numbers.push(Number(decoder.decode(message)));
    }
    assert.deepEqual(numbers, [...Array(5_000).keys()]);
    assert.equal(await fixture.channel.serverStreaming("/test.Test/Count", text("0")).nextBatch(), null);
  });

  Deno.test(`Channel over ${name}: client streaming and bidirectional streaming`, async () => {
    await using fixture = new Fixture(await place());
    const sum = await fixture.channel.clientStreaming("/test.Test/Sum", ["1", "20", "300"].map(text));
    assert.equal(decoder.decode(sum), "321");
    const replies: string[] = [];
    let reply: (() => void) | undefined;
    async function* pingPong() {
      for (let i = 0; i < 10; i++) {
        yield text(`ping ${i}`);
        await new Promise<void>((resolve) => reply = resolve);
      }
    }
    for await (const message of fixture.channel.bidiStreaming("/test.Test/Chat", pingPong())) {
      replies.push(decoder.decode(message));
      reply?.();
    }
    assert.deepEqual(replies, Array.from({ length: 10 }, (_, i) => `ping ${i}`));
  });

  Deno.test(`Channel over ${name}: a status comes with its text and its trailers`, async () => {
    await using fixture = new Fixture(await place());
    const message = "100 % ünmöglich\n\t☃ 😀";
    const error = await failure(fixture.channel.unary("/test.Test/Status", text(message)));
    assert.equal(error.code, Status.FAILED_PRECONDITION);
    assert.equal(error.message, message);
    assert.equal(error.metadata?.get("reason"), "because");
  });

  Deno.test(`Channel over ${name}: a reader who does not read stops the handler`, async () => {
    await using fixture = new Fixture(await place(), { maxQueuedBytes: 100_000 });
    const stream = fixture.channel.serverStreaming("/test.Test/Endless", new Uint8Array(0));
    await stream.nextBatch();
    const sent = await settled(() => fixture.sent);
    // The window of the reader, the buffers of both sockets, and what the limit allows to wait.
    assert.ok(sent * 10_000 < 12_000_000, `${sent} messages of 10,000 bytes were sent to nobody`);
    assert.deepEqual(
      await fixture.channel.unary("/test.Test/Echo", text("others go on")),
      text("others go on"),
    );
    await stream.nextBatch();
    await until("the handler goes on", () => fixture.sent > sent);
    await stream.cancel();
  });

  Deno.test(`Channel over ${name}: cancelling reaches the handler, and the connection goes on`, async () => {
    await using fixture = new Fixture(await place());
    const abort = new AbortController();
    const sleeping = failure(fixture.channel.unary("/test.Test/Sleep", text("x"), { signal: abort.signal }));
    await until("the call arrives", () => fixture.calls.length === 1);
    abort.abort();
    assert.equal((await sleeping).code, Status.CANCELLED);
    await until("the handler is told", () => fixture.calls[0]?.signal.aborted === true);
    for await (const _ of fixture.channel.serverStreaming("/test.Test/Endless", text("x"))) break;
    await until("leaving the loop cancels", () => fixture.calls[1]?.signal.aborted === true);
    assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", text("hi")), text("hi"));
    assert.equal(fixture.server.connections, 1);
  });

  Deno.test(`Channel over ${name}: the deadline ends the call on both sides`, async () => {
    await using fixture = new Fixture(await place());
    const error = await failure(fixture.channel.unary("/test.Test/Sleep", text("x"), { timeoutMs: 50 }));
    assert.equal(error.code, Status.DEADLINE_EXCEEDED);
    await until("the handler is told", () => fixture.calls[0]?.signal.aborted === true);
  });

  Deno.test(`GrpcServer over ${name}: an abrupt disconnect aborts the handlers of the connection`, async () => {
    const { listener, connect } = await place();
    const streams: { close(): void }[] = [];
    await using fixture = new Fixture({
      listener,
      connect: async (signal) => {
        const stream = await connect(signal);
        streams.push(stream);
        return stream;
      },
    });
    const calls = [
      failure(fixture.channel.unary("/test.Test/Sleep", text("x"))),
      failure((async () => {
        for await (const _ of fixture.channel.serverStreaming("/test.Test/Endless", text("x")));
      })()),
      failure((async () => {
        for await (const _ of fixture.channel.bidiStreaming("/test.Test/Chat", neverEnding()));
      })()),
      failure(fixture.channel.clientStreaming("/test.Test/Sum", neverEnding())),
    ];
    await until("all calls arrive", () => fixture.calls.length === 4);
    streams[0]?.close();
    for (const error of await Promise.all(calls)) assert.equal(error.code, Status.UNAVAILABLE);
    await until("all handlers are told", () => fixture.calls.every((call) => call.signal.aborted));
    await until("the connection is forgotten", () => fixture.server.connections === 0);
    assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", text("again")), text("again"));
  });

  Deno.test(`GrpcServer.shutdown over ${name} lets running calls finish and refuses new ones`, async () => {
    await using fixture = new Fixture(await place());
    let release: () => void = () => {};
    async function* slow() {
      yield text("1");
      await new Promise<void>((resolve) => release = resolve);
      yield text("2");
    }
    const sum = fixture.channel.clientStreaming("/test.Test/Sum", slow());
    await fixture.channel.unary("/test.Test/Echo", text("the call above is on its way"));
    const down = fixture.server.shutdown(10_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.equal(
      (await failure(fixture.channel.unary("/test.Test/Echo", text("x")))).code,
      Status.UNAVAILABLE,
    );
    release();
    assert.equal(decoder.decode(await sum), "3");
    await down;
    assert.equal(fixture.server.connections, 0);
  });

  Deno.test(`GrpcServer.shutdown over ${name} ends what does not finish in time`, async () => {
    await using fixture = new Fixture(await place());
    const sleeping = failure(fixture.channel.unary("/test.Test/Sleep", text("x")));
    await until("the call arrives", () => fixture.calls.length === 1);
    await fixture.server.shutdown(20);
    assert.equal((await sleeping).code, Status.UNAVAILABLE);
  });
}

/** Connections to break; each at a random byte, sent by the client or by the server. */
const BROKEN_CONNECTIONS = 200;
/** Bytes within which a connection breaks: about what the calls below exchange. */
const MAX_BYTES_TO_BREAK = 60_000;

Deno.test("Channel over memory that breaks at a random byte: every call ends, with its answer or UNAVAILABLE, and the next connection works", async () => {
  const random = seededRandom(42);
  let broken = 0;
  for (let i = 0; i < BROKEN_CONNECTIONS; i++) {
    const listener = listenMemory();
    const breaksAfterBytes = Math.ceil(random() ** 2 * MAX_BYTES_TO_BREAK);
    const server = random() < 0.5;
    // Only the first connection breaks.
    const troubles = [breaksAfterBytes];
    const trouble = () => ({ random, maxDelayMs: 0, breaksAfterBytes: troubles.shift() ?? Infinity });
    await using fixture = new Fixture({
      listener: server ? listenOverBadNetwork(listener, trouble) : listener,
      connect: server ? listener.connect : connectOverBadNetwork(listener.connect, trouble),
    });
    const place = `connection ${i}, broken after ${breaksAfterBytes} bytes to the ${
      server ? "server" : "client"
    }`;
    const message = new Uint8Array(5_000).fill(1);
    const results = await within(
      place,
      Promise.allSettled([
        fixture.channel.unary("/test.Test/Echo", message),
        all(fixture.channel.serverStreaming("/test.Test/Count", text("2000"))),
        fixture.channel.clientStreaming("/test.Test/Sum", Array.from({ length: 500 }, () => text("1"))),
        all(fixture.channel.bidiStreaming("/test.Test/Chat", Array.from({ length: 500 }, () => text("hi")))),
      ]),
    );
    for (const [kind, result] of results.entries()) {
      if (result.status === "fulfilled") continue;
      broken++;
      assert.ok(result.reason instanceof StatusError, `${place}, call ${kind}: ${result.reason}`);
      assert.equal(
        result.reason.code,
        Status.UNAVAILABLE,
        `${place}, call ${kind}: ${result.reason.message}`,
      );
    }
    let answer: Uint8Array | undefined;
    // What is left until the connection breaks may be less than one call.
    for (let attempts = 0; answer === undefined && attempts < 2; attempts++) {
      answer = await within(place, fixture.channel.unary("/test.Test/Echo", message).catch(() => undefined));
    }
    assert.deepEqual(answer, message, place);
    await until(`${place}: it is forgotten`, () => fixture.server.connections === 1);
  }
  assert.ok(broken > BROKEN_CONNECTIONS, `only ${broken} calls met a broken connection`);
});

async function all(stream: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const _ of stream) count++;
  return count;
}

/** Fails where something hangs. */
async function within<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: it hangs`)), 10_000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A connection whose client reads one piece in five milliseconds. */
function slowly(connect: Connect): Connect {
  return async (signal) => {
    const stream = await connect(signal);
    return {
      peer: stream.peer,
      read: async () => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        return await stream.read();
      },
      write: (bytes) => stream.write(bytes),
      closeWrite: () => stream.closeWrite(),
      close: () => stream.close(),
    };
  };
}

async function* neverEnding(): AsyncGenerator<Uint8Array> {
  for (;;) {
    yield text("x");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function memoryFixture(limits: Partial<GrpcLimits> = {}): Fixture {
  const listener = listenMemory();
  return new Fixture({ listener, connect: listener.connect }, limits);
}

Deno.test("GrpcServer answers an unknown service and an unknown method with UNIMPLEMENTED and their name", async () => {
  await using fixture = memoryFixture();
  for (const path of ["/test.Nothing/Echo", "/test.Test/Nothing"]) {
    const error = await failure(fixture.channel.unary(path, text("x")));
    assert.equal(error.code, Status.UNIMPLEMENTED);
    assert.match(error.message, new RegExp(path));
  }
});

Deno.test("GrpcServer tells a client nothing of an error that is no StatusError, but its owner all", async () => {
  await using fixture = memoryFixture();
  const error = await failure(fixture.channel.unary("/test.Test/Throw", text("x")));
  assert.equal(error.code, Status.INTERNAL);
  assert.doesNotMatch(error.message, /secret/);
  assert.match(String(fixture.errors[0]), /secret/);
});

Deno.test("GrpcServer passes metadata there and back, text and bytes", async () => {
  await using fixture = memoryFixture();
  const metadata = new Metadata({
    "x-text": "hello, world",
    "x-more-bin": new Uint8Array([0, 255, 128, 10]),
  });
  metadata.append("x-text", "second");
  let header: Metadata | undefined;
  let trailer: Metadata | undefined;
  await fixture.channel.unary("/test.Test/Metadata", text("x"), {
    metadata,
    onHeader: (came) => header = came,
    onTrailer: (came) => trailer = came,
  });
  for (const came of [header, trailer]) {
    assert.deepEqual(came?.getAll("x-text"), ["hello, world", "second"]);
    assert.deepEqual(came?.get("x-more-bin"), new Uint8Array([0, 255, 128, 10]));
  }
});

Deno.test("GrpcServer refuses a message above its limit with RESOURCE_EXHAUSTED and goes on", async () => {
  const listener = listenMemory();
  await using fixture = new Fixture({ listener, connect: listener.connect }, {
    maxReceiveMessageBytes: 1_000,
  });
  const error = await failure(fixture.channel.unary("/test.Test/Echo", new Uint8Array(1_001)));
  assert.equal(error.code, Status.RESOURCE_EXHAUSTED);
  assert.match(error.message, /1001 bytes, limit is 1000/);
  assert.equal((await fixture.channel.unary("/test.Test/Echo", new Uint8Array(1_000))).length, 1_000);
});

Deno.test("a call that ends with unread messages gives their bytes back to the connection's window", async () => {
  await using fixture = memoryFixture({ maxReceiveMessageBytes: 300_000 });
  for (let i = 0; i < 20; i++) {
    const error = await failure(fixture.channel.unary("/test.Test/Echo", new Uint8Array(600_000)));
    assert.equal(error.code, Status.RESOURCE_EXHAUSTED);
    const stream = fixture.channel.serverStreaming("/test.Test/Endless", text("x"));
    await stream.nextBatch();
    await stream.cancel();
    const unread = fixture.channel.bidiStreaming("/test.Test/Ignore", [new Uint8Array(100_000), text("x")]);
    assert.equal(await unread.nextBatch(), null);
  }
  assert.deepEqual(
    await fixture.channel.unary("/test.Test/Echo", text("hi"), { timeoutMs: 5_000 }),
    text("hi"),
  );
});

Deno.test("Channel ends a call whose deadline is over before it starts, and one that was cancelled before", async () => {
  await using fixture = memoryFixture();
  const late = await failure(fixture.channel.unary("/test.Test/Echo", text("x"), { timeoutMs: 0 }));
  assert.equal(late.code, Status.DEADLINE_EXCEEDED);
  const cancelled = await failure(
    fixture.channel.unary("/test.Test/Echo", text("x"), { signal: AbortSignal.abort() }),
  );
  assert.equal(cancelled.code, Status.CANCELLED);
});

Deno.test("Channel is UNAVAILABLE where nobody listens, and works when somebody does", async () => {
  const listener = listenMemory();
  let there = false;
  await using fixture = new Fixture({
    listener,
    connect: () => there ? listener.connect() : Promise.reject(new Error("nobody is there")),
  });
  const error = await failure(fixture.channel.unary("/test.Test/Echo", text("x")));
  assert.equal(error.code, Status.UNAVAILABLE);
  assert.match(error.message, /nobody is there/);
  there = true;
  assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", text("x")), text("x"));
});

Deno.test("Channel waits for a free stream when the server allows few, and a waiting call can be cancelled", async () => {
  const listener = listenMemory();
  await using fixture = new Fixture({ listener, connect: listener.connect }, {
    http2: { ...DEFAULT_HTTP2_LIMITS, maxConcurrentStreams: 2 },
  });
  await fixture.channel.unary("/test.Test/Echo", text("the settings are known"));
  const abort = new AbortController();
  const sleeping = [1, 2].map(() =>
    failure(fixture.channel.unary("/test.Test/Sleep", text("x"), { signal: abort.signal }))
  );
  await until("both calls arrive", () => fixture.calls.length === 2);
  const waiting = fixture.channel.unary("/test.Test/Echo", text("third"));
  const late = await failure(fixture.channel.unary("/test.Test/Echo", text("fourth"), { timeoutMs: 30 }));
  assert.equal(late.code, Status.DEADLINE_EXCEEDED);
  abort.abort();
  assert.deepEqual(await waiting, text("third"));
  await Promise.all(sleeping);
});

Deno.test("Channel keeps a burst of calls back until the server has said how many streams it takes", async () => {
  await using fixture = memoryFixture();
  const answers = await Promise.all(
    Array.from({ length: 5_000 }, () => fixture.channel.unary("/test.Test/Echo", text("x"))),
  );
  assert.equal(answers.length, 5_000);
});

Deno.test("Channel ends calls that are cancelled while they wait for a free stream, and the event loop goes on", async () => {
  await using fixture = memoryFixture({ http2: { ...DEFAULT_HTTP2_LIMITS, maxConcurrentStreams: 1 } });
  await fixture.channel.unary("/test.Test/Echo", text("the settings are known"));
  const first = new AbortController();
  const sleeping = failure(fixture.channel.unary("/test.Test/Sleep", text("x"), { signal: first.signal }));
  await until("the call arrives", () => fixture.calls.length === 1);
  const second = new AbortController();
  const waiting = failure(fixture.channel.unary("/test.Test/Echo", text("x"), { signal: second.signal }));
  second.abort();
  assert.equal((await waiting).code, Status.CANCELLED);
  first.abort();
  await sleeping;
});

Deno.test("Channel hears an abort at every moment of connecting and opening", async () => {
  for (let moment = 0; moment < 20; moment++) {
    await using fixture = memoryFixture();
    const abort = new AbortController();
    const call = failure(fixture.channel.unary("/test.Test/Sleep", text("x"), { signal: abort.signal }));
    for (let i = 0; i < moment; i++) await Promise.resolve();
    abort.abort();
    assert.equal((await call).code, Status.CANCELLED, `after ${moment} microtasks`);
  }
});

Deno.test("Channel.clientStreaming ends by its deadline and its signal while the requests say nothing", async () => {
  await using fixture = memoryFixture();
  for (const options of [() => ({ timeoutMs: 30 }), () => ({ signal: AbortSignal.timeout(30) })]) {
    let returned = false;
    const silent = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise<IteratorResult<Uint8Array>>(() => {}),
        return: () => {
          returned = true;
          return Promise.resolve({ done: true as const, value: undefined });
        },
      }),
    };
    const error = await failure(fixture.channel.clientStreaming("/test.Test/Sum", silent, options()));
    assert.ok(error.code === Status.DEADLINE_EXCEEDED || error.code === Status.CANCELLED);
    assert.equal(returned, true, "the requests are told to return");
  }
});

Deno.test("Channel.clientStreaming throws what the requests throw, and cancels the call", async () => {
  await using fixture = memoryFixture();
  async function* broken() {
    yield text("1");
    throw new RangeError("no more numbers");
  }
  await assert.rejects(fixture.channel.clientStreaming("/test.Test/Sum", broken()), /no more numbers/);
});

Deno.test("Channel ends its half of a stream that the server answered early and did not reset (RFC 9113 §8.1)", async () => {
  const [ours, theirs] = memoryPipe();
  const frames = new FrameFactory();
  const log = new FrameLog();
  const channel = new Channel(() => Promise.resolve(ours));
  const calls = [1, 3].map(() => channel.bidiStreaming("/test.Test/Chat", neverEnding()).nextBatch());
  await theirs.write(frames.settings([[SettingId.MAX_CONCURRENT_STREAMS, 1]]));
  for (const id of [1, 3]) {
    let lines: string[] = [];
    while (!lines.some((line) => line.startsWith(`HEADERS ${id}`))) {
      lines = log.read(await theirs.read() ?? assert.fail("the client is gone"));
    }
    await theirs.write(concat(
      frames.headers(id, { ":status": "200", "content-type": "application/grpc" }),
      frames.headers(id, { "grpc-status": "0" }, { endStream: true }),
    ));
  }
  assert.deepEqual(await Promise.all(calls), [null, null]);
  await channel.close();
  theirs.close();
});

Deno.test("Channel ends only the call whose callback throws", async () => {
  await using fixture = memoryFixture();
  const chat = fixture.channel.bidiStreaming("/test.Test/Chat", neverEnding());
  await chat.nextBatch();
  const error = await failure(fixture.channel.unary("/test.Test/Echo", text("x"), {
    onTrailer: () => {
      throw new TypeError("a fault of the caller");
    },
  }));
  assert.match(String(error.cause), /a fault of the caller/);
  assert.notEqual(await chat.nextBatch(), null, "the other call goes on");
  await chat.cancel();
});

Deno.test("GrpcServer.shutdown delivers answers that wait for the client's window", async () => {
  const listener = listenMemory();
  await using fixture = new Fixture({ listener, connect: slowly(listener.connect) });
  const answer = fixture.channel.unary("/test.Test/Echo", new Uint8Array(2_000_000));
  const stream = fixture.channel.serverStreaming("/test.Test/Large", text("x"));
  await stream.nextBatch();
  const down = fixture.server.shutdown(10_000);
  let bytes = 0;
  for await (const message of stream) bytes += message.length;
  assert.equal(bytes, 3_000_000);
  assert.equal((await answer).length, 2_000_000);
  await down;
});

Deno.test("GrpcServer ends a call whose deadline is over also behind a shut window", async () => {
  const listener = listenMemory();
  await using fixture = new Fixture({ listener, connect: listener.connect }, {
    http2: { ...DEFAULT_HTTP2_LIMITS, maxConcurrentStreams: 8 },
  });
  // A client that sends its deadlines and does not keep them.
  const clock = { nowMs: systemClock.nowMs, after: () => () => {} };
  await using client = new Channel(listener.connect, { clock });
  await client.unary("/test.Test/Echo", text("the settings are known"));
  const streams = Array.from(
    { length: 8 },
    () => client.serverStreaming("/test.Test/Endless", text("x"), { timeoutMs: 100 }),
  );
  for (const stream of streams) await stream.nextBatch();
  await until(
    "all handlers are told",
    () => fixture.calls.length === 8 && fixture.calls.every((call) => call.signal.aborted),
  );
  assert.deepEqual(await client.unary("/test.Test/Echo", text("a stream is free")), text("a stream is free"));
});

Deno.test("GrpcServer bounds what unfinished messages of one connection hold", async () => {
  await using fixture = memoryFixture({ maxGatheringBytesPerConnection: 1_000_000 });
  const big = new Uint8Array(400_000);
  const results = await Promise.allSettled(
    Array.from({ length: 10 }, () => fixture.channel.unary("/test.Test/Echo", big)),
  );
  const refused = results.filter(({ status }) => status === "rejected");
  assert.ok(refused.length > 0 && refused.length < 10, `${refused.length} of 10 were refused`);
  for (const result of refused) {
    assert.equal(result.status === "rejected" && result.reason.code, Status.RESOURCE_EXHAUSTED);
  }
  assert.equal((await fixture.channel.unary("/test.Test/Echo", big)).length, big.length, "it is given back");
});

Deno.test("Channel.close ends running calls and refuses later ones", async () => {
  await using fixture = memoryFixture();
  const sleeping = failure(fixture.channel.unary("/test.Test/Sleep", text("x")));
  await until("the call arrives", () => fixture.calls.length === 1);
  await fixture.channel.close();
  assert.equal((await sleeping).code, Status.UNAVAILABLE);
  assert.equal((await failure(fixture.channel.unary("/test.Test/Echo", text("x")))).code, Status.UNAVAILABLE);
});
