/** What holds for any exchange between our two sides, and for any bytes at all. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Http2Connection } from "./connection.ts";
import { ErrorCode } from "./error_code.ts";
import type { Http2Event } from "./event.ts";
import { Flag, FrameType } from "./frame/frame_type.ts";
import type { HeaderField } from "./hpack/header_field.ts";
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "./limits.ts";
import type { Http2Role } from "./role.ts";
import { fieldList } from "./testing/bench.ts";
import { ANSWER, concat, FrameFactory, REQUEST, uint32 } from "./testing/frame_factory.ts";

const NO_LIMIT = { burst: 1_000_000, perSecond: 0 };

/** The octet at a place of a stream's content. */
function octetAt(streamId: number, at: number): number {
  return (streamId * 31 + at * 7) & 0xff;
}

/** One direction of one stream: what was said and what has arrived. */
class Half {
  head: readonly HeaderField[] | undefined;
  trailers: readonly HeaderField[] | undefined;
  sentBytes = 0;
  ended = false;
  arrivedHead: readonly HeaderField[] | undefined;
  arrivedTrailers: readonly HeaderField[] | undefined;
  arrivedBytes = 0;
  arrivedEnd = false;

  /** The next bytes to send. */
  next(streamId: number, count: number): Uint8Array {
    const from = this.sentBytes;
    this.sentBytes += count;
    return Uint8Array.from({ length: count }, (_, index) => octetAt(streamId, from + index));
  }

  arrive(event: Http2Event & { readonly type: "headers" | "data" | "trailers" }): void {
    assert.ok(!this.arrivedEnd, "nothing arrives after the end");
    if (event.type === "headers") {
      assert.equal(this.arrivedHead, undefined);
      this.arrivedHead = event.fields;
    } else if (event.type === "trailers") {
      this.arrivedTrailers = event.fields;
    } else {
      for (const octet of event.bytes) assert.equal(octet, octetAt(event.streamId, this.arrivedBytes++));
    }
    this.arrivedEnd = event.type === "trailers" || event.endStream;
  }

  assertArrived(): void {
    assert.deepEqual(this.arrivedHead, this.head);
    assert.equal(this.arrivedBytes, this.sentBytes);
    assert.deepEqual(this.arrivedTrailers, this.trailers);
    assert.equal(this.arrivedEnd, this.ended);
  }
}

/** One stream between the two sides. */
interface Exchange {
  readonly id: number;
  readonly request: Half;
  readonly answer: Half;
  /** Somebody reset it, or the answer was complete before the request: less may arrive than was said. */
  cut: boolean;
}

/** A client and a server, and the bytes between them. */
class Pair {
  readonly sides: Readonly<Record<Http2Role, Http2Connection>>;
  readonly exchanges: Exchange[] = [];
  readonly #flying: Record<Http2Role, Uint8Array> = { client: new Uint8Array(0), server: new Uint8Array(0) };
  readonly #unconsumed: [Http2Connection, number, number][] = [];

  constructor(clientLimits: Http2Limits, serverLimits: Http2Limits) {
    this.sides = {
      client: new Http2Connection("client", clientLimits),
      server: new Http2Connection("server", serverLimits),
    };
  }

  open(fields: readonly HeaderField[], endStream: boolean): void {
    if (!this.sides.client.canOpenStream) return;
    const id = this.sides.client.request(fields, endStream);
    const exchange: Exchange = { id, request: new Half(), answer: new Half(), cut: false };
    exchange.request.head = fields;
    exchange.request.ended = endStream;
    this.exchanges.push(exchange);
  }

  /** The half that a side may still speak on, or undefined. */
  speaking(from: Http2Role, { request, answer, cut }: Exchange): Half | undefined {
    const half = from === "client" ? request : answer;
    const may = !half.ended && !cut && (from === "client" || request.arrivedHead !== undefined);
    return may ? half : undefined;
  }

  respond(exchange: Exchange, fields: readonly HeaderField[]): Half | undefined {
    const half = this.speaking("server", exchange);
    if (half === undefined || half.head !== undefined) return half;
    half.head = fields;
    this.sides.server.respond(exchange.id, fields);
    return half;
  }

  data(from: Http2Role, exchange: Exchange, count: number): void {
    const half = from === "server"
      ? this.respond(exchange, fieldList(ANSWER))
      : this.speaking(from, exchange);
    if (half !== undefined) this.sides[from].data(exchange.id, half.next(exchange.id, count));
  }

  end(from: Http2Role, exchange: Exchange, trailers: readonly HeaderField[] | undefined): void {
    const half = from === "server"
      ? this.respond(exchange, fieldList(ANSWER))
      : this.speaking(from, exchange);
    if (half === undefined) return;
    half.ended = true;
    half.trailers = trailers;
    if (from === "server" && !exchange.request.arrivedEnd) exchange.cut = true;
    this.sides[from].end(exchange.id, trailers);
  }

  reset(from: Http2Role, exchange: Exchange): void {
    if (from === "server" && exchange.request.arrivedHead === undefined) return;
    exchange.cut = true;
    this.sides[from].reset(exchange.id, ErrorCode.CANCEL);
  }

  /** Carries up to `count` bytes of what a side said to the other. Returns how many. */
  carry(from: Http2Role, count: number): number {
    const taken = this.sides[from].takeOutput();
    const flying = concat(this.#flying[from], taken);
    this.#told(from === "client" ? "server" : "client", this.sides[from].outputWritten(taken), from);
    this.#flying[from] = flying.slice(count);
    const to = from === "client" ? "server" : "client";
    this.#told(from, this.sides[to].receive(flying.slice(0, count), 0), to);
    return Math.min(count, flying.length);
  }

  consumeAll(): void {
    for (const [side, id, bytes] of this.#unconsumed.splice(0)) side.consume(id, bytes);
  }

  /** Carries everything that is said, until nothing more is. */
  settle(): void {
    for (let moved = 1; moved > 0;) {
      this.consumeAll();
      moved = this.carry("client", 1_000) + this.carry("server", 1_000);
    }
  }

  #told(from: Http2Role, events: readonly Http2Event[], to: Http2Role): void {
    for (const event of events) {
      assert.notEqual(event.type, "failed", "both sides keep to the protocol");
      if (!("streamId" in event) || event.type === "drained" || event.type === "stalled") continue;
      const exchange = this.exchanges.find(({ id }) => id === event.streamId);
      assert.ok(exchange !== undefined);
      if (event.type === "reset") {
        // The server may have more streams than it takes, while the client does not know how many that are.
        exchange.cut ||= event.code === ErrorCode.REFUSED_STREAM;
        assert.ok(exchange.cut, "nobody asked for a reset");
        continue;
      }
      (from === "client" ? exchange.request : exchange.answer).arrive(event);
      if (event.type === "data") this.#unconsumed.push([this.sides[to], event.streamId, event.bytes.length]);
    }
  }
}

const limits: fc.Arbitrary<Http2Limits> = fc.record({
  headerTableBytes: fc.constantFrom(0, 100, 4_096, 10_000),
  streamWindowBytes: fc.constantFrom(30, 1_000, 16_384, 100_000),
  connectionWindowBytes: fc.constantFrom(65_535, 200_000),
  maxFrameBytes: fc.constantFrom(16_384, 40_000),
  maxConcurrentStreams: fc.constantFrom(1, 3, 100),
  maxWaitingOutputBytes: fc.constantFrom(100, 262_144),
}).map((some) => ({
  ...DEFAULT_HTTP2_LIMITS,
  ...some,
  // A window of one byte makes many frames: they are not what is looked at here.
  maxHeaderListBytes: 200_000,
  maxHeaderBlockBytes: 200_000,
  resets: NO_LIMIT,
  idleFrames: NO_LIMIT,
}));

const value = fc.oneof(
  fc.constantFrom("", "a", "b", "application/grpc"),
  fc.integer({ min: 0, max: 300 }).map((length) => "\xfe".repeat(length)),
);
/** Longer than a frame. */
const largeValue = fc.constant("\xfd".repeat(20_000));

function fieldsWith(values: fc.Arbitrary<string>): fc.Arbitrary<HeaderField[]> {
  const name = fc.constantFrom("x", "y", "grpc-status", "te2", "a-bin");
  return fc.array(fc.record({ name, value: values }, { noNullPrototype: true }), { maxLength: 4 });
}

const extra = fieldsWith(fc.oneof({ weight: 9, arbitrary: value }, largeValue));
const which = fc.nat({ max: 7 });
const side = fc.constantFrom<Http2Role>("client", "server");
const bytes = fc.oneof(fc.nat({ max: 50 }), fc.nat({ max: 40_000 }));
/** One thing that either side, or the wire, does. */
const step: fc.Arbitrary<(pair: Pair) => void> = fc.oneof(
  fc.tuple(extra, fc.boolean()).map(([fields, endStream]) => (pair: Pair) =>
    pair.open([...fieldList(REQUEST), ...fields], endStream)
  ),
  fc.tuple(which, extra).map(([index, fields]) =>
    onExchange(index, (pair, exchange) => pair.respond(exchange, [...fieldList(ANSWER), ...fields]))
  ),
  fc.tuple(side, which, bytes).map(([from, index, count]) =>
    onExchange(index, (pair, exchange) => pair.data(from, exchange, count))
  ),
  fc.tuple(side, which, fc.option(extra, { nil: undefined })).map(([from, index, trailers]) =>
    onExchange(index, (pair, exchange) => pair.end(from, exchange, trailers))
  ),
  fc.tuple(side, which).map(([from, index]) =>
    onExchange(index, (pair, exchange) => pair.reset(from, exchange))
  ),
  fc.tuple(side, bytes).map(([from, count]) => (pair: Pair) => void pair.carry(from, count)),
  fc.constant((pair: Pair) => pair.consumeAll()),
  side.map((from) => (pair: Pair) => pair.sides[from].ping()),
);

function onExchange(index: number, act: (pair: Pair, exchange: Exchange) => void): (pair: Pair) => void {
  return (pair) => {
    const exchange = pair.exchanges.at(-1 - index);
    if (exchange !== undefined) act(pair, exchange);
  };
}

Deno.test("Http2Connection: whatever a client and a server say to each other arrives whole, in order, and once", () => {
  fc.assert(
    fc.property(
      limits,
      limits,
      fc.array(step, { maxLength: 80, size: "max" }),
      (clientLimits, serverLimits, steps) => {
        const pair = new Pair(clientLimits, serverLimits);
        for (const act of steps) act(pair);
        pair.settle();
        for (const exchange of pair.exchanges) pair.end("client", exchange, undefined);
        pair.settle();
        for (const exchange of pair.exchanges) pair.end("server", exchange, undefined);
        pair.settle();
        for (const { request, answer, cut } of pair.exchanges) {
          if (cut) continue;
          request.assertArrived();
          answer.assertArrived();
        }
        for (const connection of Object.values(pair.sides)) {
          assert.equal(connection.openStreams, 0);
          assert.equal(connection.allQueuedBytes, 0);
          assert.equal(connection.outputBytes, 0);
        }
      },
    ),
    { seed: 9113, numRuns: 300 },
  );
});

/** A request as its sender may dress it: blocks and bodies in pieces, with padding, priorities and unknown frames. */
interface Dress {
  readonly blockCuts: readonly number[];
  readonly bodyCuts: readonly number[];
  readonly padding: number | undefined;
  readonly priority: boolean;
  readonly noise: number;
}

const dress: fc.Arbitrary<Dress> = fc.record({
  blockCuts: fc.array(fc.nat({ max: 100 }), { maxLength: 5 }),
  bodyCuts: fc.array(fc.nat({ max: 300 }), { maxLength: 4 }),
  padding: fc.option(fc.nat({ max: 255 }), { nil: undefined }),
  priority: fc.boolean(),
  noise: fc.nat({ max: 3 }),
});

/** The pieces of an array between cuts; cuts beyond its end make empty pieces. */
function piecesOf(whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const places = [0, ...cuts.map((cut) => Math.min(cut, whole.length)).sort((a, b) => a - b), whole.length];
  return places.slice(1).map((to, index) => whole.subarray(places[index] ?? 0, to));
}

function padded(
  f: FrameFactory,
  type: number,
  flags: number,
  id: number,
  payload: Uint8Array,
  { padding }: Dress,
) {
  if (padding === undefined) return f.frame(type, flags, id, payload);
  return f.frame(type, flags | Flag.PADDED, id, concat([padding], payload, new Uint8Array(padding)));
}

function dressedHeaders(f: FrameFactory, id: number, fields: readonly HeaderField[], how: Dress): Uint8Array {
  const [first = new Uint8Array(0), ...rest] = piecesOf(f.block(fields), how.blockCuts);
  const flags = rest.length === 0 ? Flag.END_HEADERS : 0;
  const head = how.priority ? concat(uint32(0), [200], first) : first;
  return concat(
    padded(f, FrameType.HEADERS, how.priority ? flags | Flag.PRIORITY : flags, id, head, how),
    ...rest.map((piece, index) =>
      f.frame(FrameType.CONTINUATION, index === rest.length - 1 ? Flag.END_HEADERS : 0, id, piece)
    ),
  );
}

Deno.test("Http2Connection reads the same from a peer's frames, whatever their dress and their cuts (RFC 9113 §4.1, §6.1, §6.2, §6.10)", () => {
  const requests = fc.array(fc.tuple(fieldsWith(value), fc.nat({ max: 600 }), dress), {
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(requests, fc.array(fc.integer({ min: 1, max: 500 }), { maxLength: 20 }), (list, cuts) => {
      const f = new FrameFactory();
      const sent = [f.hello()];
      for (const [index, [fields, bodyBytes, how]] of list.entries()) {
        const id = 1 + 2 * index;
        sent.push(dressedHeaders(f, id, [...fieldList(REQUEST), ...fields], how));
        for (let i = 0; i < how.noise; i++) sent.push(f.frame(0x40 + i, 0xff, id, [i]), f.priority(id));
        for (const piece of piecesOf(new Uint8Array(bodyBytes).fill(id), how.bodyCuts)) {
          sent.push(padded(f, FrameType.DATA, 0, id, piece, how));
        }
        sent.push(padded(f, FrameType.DATA, Flag.END_STREAM, id, new Uint8Array(0), how));
      }
      const server = new Http2Connection("server", {
        ...DEFAULT_HTTP2_LIMITS,
        maxHeaderListBytes: 200_000,
        maxHeaderBlockBytes: 200_000,
      });
      const halves = list.map(() => new Half());
      for (const piece of piecesOf(concat(...sent), cuts)) {
        for (const event of server.receive(piece, 0)) {
          if (event.type === "capacity") continue;
          assert.ok(
            event.type === "headers" || event.type === "data",
            event.type === "failed" ? event.error.message : event.type,
          );
          const half = halves[(event.streamId - 1) / 2];
          if (event.type === "headers") half?.arrive(event);
          else if (half !== undefined) {
            assert.ok(event.bytes.every((octet) => octet === event.streamId));
            half.arrivedBytes += event.bytes.length;
            half.arrivedEnd = event.endStream;
          }
        }
      }
      for (const [index, [fields, bodyBytes]] of list.entries()) {
        assert.deepEqual(halves[index]?.arrivedHead, [...fieldList(REQUEST), ...fields]);
        assert.equal(halves[index]?.arrivedBytes, bodyBytes);
        assert.equal(halves[index]?.arrivedEnd, true);
      }
    }),
    { seed: 9113, numRuns: 200 },
  );
});

/** A frame that may mean something: known types and small numbers more often than not. */
const anyFrame: fc.Arbitrary<Uint8Array> = fc.tuple(
  fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 9 }) }, fc.nat({ max: 255 })),
  fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 0xd, 0x20, 0x24, 0x25), fc.nat({ max: 255 })),
  fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 9 }) }, fc.nat({ max: 0xffff_ffff })),
  fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    // Fields that exist, of requests and of answers.
    fc.array(fc.constantFrom(0x82, 0x83, 0x84, 0x86, 0x88, 0xbe, 0xbf), { maxLength: 6 })
      .map((octets) => Uint8Array.from(octets)),
    fc.array(
      fc.tuple(fc.nat({ max: 7 }), fc.constantFrom(0, 1, 10, 16_384, 65_535, 0x7fff_ffff, 0xffff_ffff)),
      {
        maxLength: 3,
      },
    ).map((pairs) => Uint8Array.from(pairs.flatMap(([id, setting]) => [0, id, ...uint32(setting)]))),
  ),
).map(([type, flags, streamId, payload]) => new FrameFactory().frame(type, flags, streamId, payload));

/** What a peer may come up with: noise, frames, and requests that are right. */
const anything: fc.Arbitrary<Uint8Array> = fc.oneof(
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 100 }) },
  { weight: 6, arbitrary: anyFrame },
  {
    weight: 3,
    arbitrary: fc.tuple(fc.integer({ min: 0, max: 20 }), fc.boolean(), fc.boolean()).map((
      [n, endStream, answer],
    ) => new FrameFactory().headers(1 + 2 * n, answer ? ANSWER : REQUEST, { endStream })),
  },
);

const FUZZ_LIMITS: Http2Limits = {
  ...DEFAULT_HTTP2_LIMITS,
  maxConcurrentStreams: 5,
  maxOutputBytes: 5_000,
  streamWindowBytes: 1_000,
  connectionWindowBytes: 65_535,
};

/** What one piece of a peer's bytes may cost at most, whatever it holds. */
function assertBounded(connection: Http2Connection, events: readonly Http2Event[], received: number): void {
  assert.ok(connection.openStreams <= 5, `${connection.openStreams} streams`);
  // The last answer may pass the limit, and a GOAWAY follows.
  assert.ok(connection.outputBytes <= 5_000 + 1_000, `${connection.outputBytes} bytes of output`);
  assert.ok(events.length <= 16 + received, `${events.length} events of ${received} bytes`);
}

for (const role of ["server", "client"] as const) {
  Deno.test(`Http2Connection as a ${role} takes any bytes: it never throws, and what it keeps and answers is bounded (RFC 9113 §10.5)`, () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.array(anything, { maxLength: 60, size: "max" }),
        fc.array(fc.nat({ max: 400 }), { maxLength: 10 }),
        fc.boolean(),
        (greets, pieces, cuts, reads) => {
          const connection = new Http2Connection(role, FUZZ_LIMITS);
          const f = new FrameFactory();
          const hello = role === "server" ? f.hello() : f.settings();
          for (const event of connection.receive(greets ? hello : new Uint8Array(0), 0)) void event;
          for (let i = 0; i < 5 && role === "client" && connection.canOpenStream; i++) {
            connection.request(fieldList(REQUEST), i % 2 === 0);
          }
          const answered = new Set<number>();
          let failed = false;
          for (const piece of piecesOf(concat(...pieces), cuts)) {
            const events = connection.receive(piece, 0);
            assert.ok(!failed || events.length === 0, "nothing happens after the failure");
            for (const event of events) {
              if (event.type === "failed") {
                failed = true;
                assert.notEqual(event.error.code, ErrorCode.INTERNAL_ERROR, "an error of ours came to light");
              }
              if (event.type === "headers" && role === "server") answered.add(event.streamId);
            }
            assertBounded(connection, events, piece.length);
            if (reads) connection.outputWritten(connection.takeOutput());
            // What a user of the connection does: it answers the streams that it was told of, gone or not.
            for (const id of answered) {
              connection.respond(id, fieldList(ANSWER));
              connection.data(id, new Uint8Array(10));
              connection.end(id);
            }
            answered.clear();
          }
          if (failed) assert.equal(connection.openStreams, 0);
        },
      ),
      { seed: 9113, numRuns: 2_000 },
    );
  });
}
