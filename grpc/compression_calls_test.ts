/** Compression as calls use it: who chooses, from which size on, and what a peer can do with it. */
import assert from "node:assert/strict";
import { ByteBudget } from "./byte_budget.ts";
import { Channel } from "./channel.ts";
import { codecOf } from "./compression/encoding.ts";
import type { Encoding } from "./compression/encoding.ts";
import { concat } from "./http2/testing/frame_factory.ts";
import { MessageQueue } from "./message_queue.ts";
import { compressedFrame, FramedMessage, messagePrefix } from "./message_reader.ts";
import { GrpcServer } from "./server.ts";
import { Status, StatusError } from "./status.ts";
import type { ByteStream } from "./transport/byte_stream.ts";
import { listenMemory } from "./transport/memory.ts";

const ENCODINGS: readonly Encoding[] = ["gzip", "zstd", "snappy", "lz4"];
const LARGE = new Uint8Array(200_000).map((_, at) => at % 100);

/** A stream that counts. */
class CountedStream implements ByteStream {
  received = 0;
  written = 0;
  readonly #stream: ByteStream;

  constructor(stream: ByteStream) {
    this.#stream = stream;
  }

  get peer(): string {
    return this.#stream.peer;
  }

  async read(): Promise<Uint8Array | null> {
    const bytes = await this.#stream.read();
    this.received += bytes?.length ?? 0;
    return bytes;
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.written += bytes.length;
    await this.#stream.write(bytes);
  }

  closeWrite(): Promise<void> {
    return this.#stream.closeWrite();
  }

  close(): void {
    this.#stream.close();
  }
}

/** A server that echoes in every kind of call, and a channel to it whose bytes are counted. */
class Fixture implements AsyncDisposable {
  readonly server: GrpcServer;
  readonly channel: Channel;
  stream: CountedStream | undefined;
  readonly framed = FramedMessage.of(LARGE);
  readonly #serving: Promise<void>;

  constructor(encoding?: Encoding, minBytes?: number) {
    const listener = listenMemory();
    this.server = new GrpcServer()
      .method("/test.Test/Echo", { kind: "unary", handle: (request) => request })
      .method("/test.Test/Many", {
        kind: "server_streaming",
        handle: async (request, call) => {
          await call.write(request);
          await call.write(this.framed);
          await call.write(this.framed);
        },
      })
      .method("/test.Test/EchoAll", {
        kind: "bidi_streaming",
        handle: async (requests, call) => {
          for await (const request of requests) await call.write(request);
        },
      })
      .method("/test.Test/Sum", {
        kind: "client_streaming",
        handle: async (requests) => {
          let sum = 0;
          for await (const request of requests) sum += request.length;
          return new TextEncoder().encode(String(sum));
        },
      });
    this.#serving = this.server.serve(listener);
    const connect = async () => this.stream = new CountedStream(await listener.connect());
    this.channel = new Channel(connect, {
      ...encoding === undefined
        ? {}
        : { compression: { encoding, ...minBytes === undefined ? {} : { minBytes } } },
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
    await this.server.shutdown(1_000);
    await this.#serving;
  }
}

for (const encoding of ENCODINGS) {
  Deno.test(`Channel with ${encoding}: every kind of call, compressed both ways`, async () => {
    await using fixture = new Fixture(encoding);
    const { channel } = fixture;
    assert.deepEqual(await channel.unary("/test.Test/Echo", LARGE), LARGE);
    const many = await Array.fromAsync(channel.serverStreaming("/test.Test/Many", LARGE));
    assert.deepEqual(many, [LARGE, LARGE, LARGE]);
    const all = await Array.fromAsync(
      channel.bidiStreaming("/test.Test/EchoAll", [LARGE, new Uint8Array(3), LARGE]),
    );
    assert.deepEqual(all, [LARGE, new Uint8Array(3), LARGE]);
    const sum = await channel.clientStreaming("/test.Test/Sum", [LARGE, LARGE]);
    assert.equal(new TextDecoder().decode(sum), "400000");
    assert(fixture.stream !== undefined);
    assert(fixture.stream.written < LARGE.length / 2, `${fixture.stream.written}`); // 6 large messages
    assert(fixture.stream.received < LARGE.length / 2, `${fixture.stream.received}`); // 6 as well
  });
}

Deno.test("Channel and GrpcServer compress nothing unless they are asked to", async () => {
  await using fixture = new Fixture();
  assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", LARGE), LARGE);
  assert((fixture.stream?.written ?? 0) > LARGE.length);
  assert((fixture.stream?.received ?? 0) > LARGE.length);
});

Deno.test("Channel and GrpcServer leave messages below 8 KiB as they are, or below the size they are given", async () => {
  const small = new Uint8Array(8_191);
  {
    await using fixture = new Fixture("gzip");
    assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", small), small);
    assert((fixture.stream?.written ?? 0) > small.length);
    assert((fixture.stream?.received ?? 0) > small.length);
    const before = fixture.stream?.written ?? 0;
    assert.deepEqual(
      await fixture.channel.unary("/test.Test/Echo", new Uint8Array(8_192)),
      new Uint8Array(8_192),
    );
    assert((fixture.stream?.written ?? 0) - before < 1_000);
  }
  await using fixture = new Fixture("gzip", 100);
  assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", small), small);
  assert((fixture.stream?.written ?? 0) < 1_000);
});

Deno.test("Channel sends a message as it is that compression would make larger", async () => {
  await using fixture = new Fixture("snappy");
  const noise = crypto.getRandomValues(new Uint8Array(60_000));
  assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", noise), noise);
});

Deno.test("GrpcServer ends a call whose message becomes larger than its limit, before it has become so", async () => {
  await using fixture = new Fixture("gzip");
  const bomb = new Uint8Array(4_194_305);
  await assert.rejects(
    fixture.channel.unary("/test.Test/Echo", bomb),
    (error) => error instanceof StatusError && error.code === Status.RESOURCE_EXHAUSTED,
  );
  await assert.rejects(
    fixture.channel.clientStreaming("/test.Test/Sum", [LARGE, bomb]),
    (error) => error instanceof StatusError && error.code === Status.RESOURCE_EXHAUSTED,
  );
  assert.deepEqual(await fixture.channel.unary("/test.Test/Echo", LARGE), LARGE);
});

Deno.test("Channel refuses an answer that becomes larger than its limit, and goes on", async () => {
  const listener = listenMemory();
  const server = new GrpcServer({ limits: { maxReceiveMessageBytes: 1_000_000 } })
    .method("/test.Test/Echo", { kind: "unary", handle: (request) => request });
  const serving = server.serve(listener);
  await using channel = new Channel(() => listener.connect(), {
    compression: { encoding: "zstd" },
    limits: { maxReceiveMessageBytes: 100_000 },
  });
  await assert.rejects(
    channel.unary("/test.Test/Echo", LARGE),
    (error) => error instanceof StatusError && error.code === Status.RESOURCE_EXHAUSTED,
  );
  const small = LARGE.subarray(0, 90_000);
  assert.deepEqual(await channel.unary("/test.Test/Echo", small), small);
  await channel.close();
  await server.shutdown(1_000);
  await serving;
});

Deno.test("Channel refuses an encoding that its runtime does not have, before any call", () => {
  const connect = () => Promise.reject(new Error("not called"));
  assert.throws(
    () => new Channel(connect, { compression: { encoding: "br" as Encoding } }),
    /Cannot compress with "br": this runtime has identity,gzip,zstd,snappy,lz4/,
  );
});

Deno.test("FramedMessage is compressed once for all receivers of an encoding", () => {
  const gzip = codecOf("gzip");
  assert(gzip !== undefined);
  let times = 0;
  const counting = { ...gzip, compress: (message: Uint8Array) => (times++, gzip.compress(message)) };
  const framed = FramedMessage.of(LARGE);
  const bytes = framed.compressedBy(counting);
  assert.equal(framed.compressedBy(counting), bytes);
  assert.equal(times, 1);
  assert(bytes !== undefined);
  const prefix = messagePrefix(bytes.length - 5);
  assert.deepEqual([...bytes.subarray(0, 5)], [1, ...prefix.subarray(1)]);
});

Deno.test("MessageQueue decompresses what its reader takes, about one largest message at a time, in order", async () => {
  const gzip = codecOf("gzip");
  assert(gzip !== undefined);
  let decompressed = 0;
  const counting = {
    ...gzip,
    decompress: (bytes: Uint8Array, maxBytes: number) => (decompressed++, gzip.decompress(bytes, maxBytes)),
  };
  const queue = new MessageQueue(1_000_000, new ByteBudget(0), () => {});
  queue.decompressWith(counting);
  const large = compressedFrame(new Uint8Array(600_000), gzip);
  assert(large !== undefined);
  const damaged = Uint8Array.of(1, 0, 0, 0, 2, 7, 7);
  const plain = Uint8Array.of(0, 0, 0, 0, 1, 9);
  queue.push(concat(large, plain, large, large, damaged));
  assert.equal(decompressed, 0);
  assert.deepEqual((await queue.takeAll())?.map(({ length }) => length), [600_000, 1, 600_000]);
  assert.equal(decompressed, 2);
  assert.deepEqual((await queue.takeAll())?.map(({ length }) => length), [600_000]);
  await assert.rejects(
    queue.takeAll(),
    (error) =>
      error instanceof StatusError && error.code === Status.INTERNAL && /gzip|header/.test(error.message),
  );
});
