/** RFC 9113 §4 to §7 and RFC 7541: what a peer may not do with frames, whichever side it is, and what it may. */
import assert from "node:assert/strict";
import { ErrorCode } from "./error_code.ts";
import { Flag, FrameType } from "./frame/frame_type.ts";
import { SettingId } from "./settings.ts";
import { Bench, eventLine, fieldList } from "./testing/bench.ts";
import { ANSWER, concat, type FrameFactory, REQUEST, uint32 } from "./testing/frame_factory.ts";
import {
  assertConnectionError,
  assertSameHoweverCut,
  assertStreamError,
  assertWorks,
  type Violation,
} from "./testing/violation.ts";

const {
  COMPRESSION_ERROR,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  PROTOCOL_ERROR,
  STREAM_CLOSED,
} = ErrorCode;
const { END_HEADERS, END_STREAM, PADDED, PRIORITY } = Flag;
const { CONTINUATION, DATA, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE } = FrameType;

const ROLES: Readonly<Record<string, () => Bench>> = {
  server: () => Bench.server(),
  client: () => Bench.client(),
};

/** Opens stream 1, then gives the frames. */
function opened(frames: (f: FrameFactory) => Uint8Array): Violation[1] {
  return (f, bench) => {
    bench.open();
    return frames(f);
  };
}

/** Stream 1 as the peer may send DATA on it: a client has had its answer's headers. */
function flowing(frames: (f: FrameFactory) => Uint8Array): Violation[1] {
  return (f, bench) => {
    bench.open();
    if (bench.role === "client") bench.events(f.headers(1, ANSWER));
    return frames(f);
  };
}

/** Stream 1 after both sides have said END_STREAM. */
function ended(frames: (f: FrameFactory) => Uint8Array): Violation[1] {
  return (f, bench) => {
    bench.open(true);
    if (bench.role === "client") bench.events(f.headers(1, ANSWER, { endStream: true }));
    else bench.connection.respond(1, fieldList(ANSWER), true);
    assert.equal(bench.connection.openStreams, 0);
    return frames(f);
  };
}

/** HEADERS of stream 1 with any octets as the block. */
function block(...octets: readonly number[]): Violation {
  return [COMPRESSION_ERROR, opened((f) => f.frame(HEADERS, END_HEADERS, 1, octets))];
}

/** Frames that break the connection. Where stream 1 matters it is open. */
const CONNECTION_ERRORS: Readonly<Record<string, Violation>> = {
  "§4.2 DATA above SETTINGS_MAX_FRAME_SIZE": [
    FRAME_SIZE_ERROR,
    flowing((f) => f.data(1, new Uint8Array(16_385))),
  ],
  "§4.2 HEADERS above SETTINGS_MAX_FRAME_SIZE": [
    FRAME_SIZE_ERROR,
    opened((f) => f.frame(HEADERS, END_HEADERS, 1, new Uint8Array(16_385))),
  ],
  "§4.2 SETTINGS above SETTINGS_MAX_FRAME_SIZE": [
    FRAME_SIZE_ERROR,
    (f) => f.frame(SETTINGS, 0, 0, new Uint8Array(16_386)),
  ],
  "§4.2 an unknown frame above SETTINGS_MAX_FRAME_SIZE": [
    FRAME_SIZE_ERROR,
    (f) => f.frame(0x77, 0, 0, new Uint8Array(16_385)),
  ],
  "§4.2 padded DATA without the padding's length": [
    FRAME_SIZE_ERROR,
    flowing((f) => f.frame(DATA, PADDED, 1, [])),
  ],
  "§4.2 padded HEADERS without the padding's length": [
    FRAME_SIZE_ERROR,
    opened((f) => f.frame(HEADERS, PADDED | END_HEADERS, 1, [])),
  ],
  "§4.2 HEADERS with a priority of 4 bytes": [
    FRAME_SIZE_ERROR,
    opened((f) => f.frame(HEADERS, PRIORITY | END_HEADERS, 1, [0, 0, 0, 0])),
  ],
  "§4.2 padded HEADERS with a priority of 4 bytes": [
    FRAME_SIZE_ERROR,
    opened((f) => f.frame(HEADERS, PADDED | PRIORITY | END_HEADERS, 1, [0, 0, 0, 0, 0])),
  ],
  "§4.3 a header block that is cut inside a field": block(0x40, 0x01),
  "§4.3 the block of a stream that is not looked at": [
    COMPRESSION_ERROR,
    (f, bench) => {
      bench.open();
      bench.connection.reset(1, ErrorCode.CANCEL);
      return f.frame(HEADERS, END_HEADERS, 1, [0x80]);
    },
  ],
  "RFC 7541 §2.3.3 an index beyond both tables": block(0xd2),
  "RFC 7541 §2.3.3 a name's index beyond both tables": block(0x7f, 0x20, 0x01, 0x61),
  "RFC 7541 §4.2 a size update after a field": block(0x88, 0x20),
  "RFC 7541 §5.1 an integer without end": block(0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00),
  "RFC 7541 §5.1 an integer above our limit": block(0xff, 0xff, 0xff, 0xff, 0xff, 0x0f),
  "RFC 7541 §5.2 a string longer than the block": block(0x40, 0x7f, 0x00),
  "RFC 7541 §5.2 Huffman padding above 7 bits": block(0x40, 0x82, 0x1f, 0xff, 0x00),
  "RFC 7541 §5.2 Huffman padding that is not ones": block(0x40, 0x81, 0x18, 0x00),
  "RFC 7541 §5.2 the end-of-string symbol": block(0x40, 0x84, 0xff, 0xff, 0xff, 0xff, 0x00),
  "RFC 7541 §6.1 the index 0": block(0x80),
  "RFC 7541 §6.3 a size update above SETTINGS_HEADER_TABLE_SIZE": block(0x3f, 0xe2, 0x1f),
  "§5.1 DATA on an idle stream": [PROTOCOL_ERROR, (f) => f.data(1, [1])],
  "§5.1 RST_STREAM on an idle stream": [PROTOCOL_ERROR, (f) => f.rstStream(1, 8)],
  "§5.1 WINDOW_UPDATE on an idle stream": [PROTOCOL_ERROR, (f) => f.windowUpdate(1, 1)],
  "§5.1 CONTINUATION on an idle stream": [PROTOCOL_ERROR, (f) => f.frame(CONTINUATION, END_HEADERS, 1)],
  "§5.1 DATA on an idle stream of a server": [PROTOCOL_ERROR, (f) => f.data(2, [1])],
  "§5.1 RST_STREAM on an idle stream of a server": [PROTOCOL_ERROR, (f) => f.rstStream(2, 8)],
  "§5.1 WINDOW_UPDATE on an idle stream of a server": [PROTOCOL_ERROR, (f) => f.windowUpdate(2, 1)],
  "§5.1 DATA after END_STREAM of both": [STREAM_CLOSED, ended((f) => f.data(1, [1]))],
  "§5.1 HEADERS after END_STREAM of both": [
    STREAM_CLOSED,
    ended((f) => f.headers(1, { "x": "y" }, { endStream: true })),
  ],
  "§5.1 CONTINUATION after END_STREAM of both": [
    PROTOCOL_ERROR,
    ended((f) => f.frame(CONTINUATION, END_HEADERS, 1)),
  ],
  "§5.1.1 HEADERS on a number of the servers'": [PROTOCOL_ERROR, (f) => f.headers(2, REQUEST)],
  "§5.5 an unknown frame inside a header block": [
    PROTOCOL_ERROR,
    opened((f) => concat(f.headers(1, ANSWER, { endHeaders: false }), f.frame(0x77, 0, 1, [1]))),
  ],
  "§6.1 DATA on stream 0": [PROTOCOL_ERROR, (f) => f.data(0, [1])],
  "§6.1 DATA with as much padding as payload": [
    PROTOCOL_ERROR,
    flowing((f) => f.frame(DATA, PADDED, 1, [3, 0, 0])),
  ],
  "§6.1 DATA with more padding than payload": [
    PROTOCOL_ERROR,
    flowing((f) => f.frame(DATA, PADDED, 1, [255, 0, 0])),
  ],
  "§6.2 HEADERS on stream 0": [PROTOCOL_ERROR, (f) => f.headers(0, ANSWER)],
  "§6.2 HEADERS with more padding than payload": [
    PROTOCOL_ERROR,
    opened((f) => f.frame(HEADERS, PADDED | END_HEADERS, 1, [2, 0x88])),
  ],
  "§6.2 HEADERS whose padding covers the priority": [
    PROTOCOL_ERROR,
    opened((f) => f.frame(HEADERS, PADDED | PRIORITY | END_HEADERS, 1, [1, 0, 0, 0, 0, 0])),
  ],
  "§6.2 PRIORITY inside a header block": [
    PROTOCOL_ERROR,
    opened((f) => concat(f.headers(1, ANSWER, { endHeaders: false }), f.priority(3))),
  ],
  "§6.2 HEADERS of another stream inside a header block": [
    PROTOCOL_ERROR,
    opened((f) => concat(f.headers(1, ANSWER, { endHeaders: false }), f.headers(3, ANSWER))),
  ],
  "§6.3 PRIORITY on stream 0": [PROTOCOL_ERROR, (f) => f.priority(0, 3)],
  "§6.3 PRIORITY of another length on an idle stream, which can't be reset (§6.4)": [
    FRAME_SIZE_ERROR,
    (f) => f.frame(FrameType.PRIORITY, 0, 7, [0, 0, 0, 0]),
  ],
  "§6.4 RST_STREAM on stream 0": [PROTOCOL_ERROR, (f) => f.rstStream(0, 8)],
  "§6.4 RST_STREAM of 3 bytes": [FRAME_SIZE_ERROR, opened((f) => f.frame(RST_STREAM, 0, 1, [0, 0, 0]))],
  "§6.4 RST_STREAM of 5 bytes": [FRAME_SIZE_ERROR, opened((f) => f.frame(RST_STREAM, 0, 1, [0, 0, 0, 0, 0]))],
  "§6.5 SETTINGS on a stream": [PROTOCOL_ERROR, (f) => f.frame(SETTINGS, 0, 1)],
  "§6.5 SETTINGS of 3 bytes": [FRAME_SIZE_ERROR, (f) => f.frame(SETTINGS, 0, 0, [0, 3, 0])],
  "§6.5 SETTINGS of 7 bytes": [FRAME_SIZE_ERROR, (f) => f.frame(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 1, 0])],
  "§6.5 an acknowledgement with values": [
    FRAME_SIZE_ERROR,
    (f) => f.frame(SETTINGS, Flag.ACK, 0, [0, 1, 0, 0, 0, 0]),
  ],
  "§6.5.2 SETTINGS_ENABLE_PUSH of 2": [PROTOCOL_ERROR, (f) => f.settings([[SettingId.ENABLE_PUSH, 2]])],
  "§6.5.2 SETTINGS_INITIAL_WINDOW_SIZE of 2^31": [
    FLOW_CONTROL_ERROR,
    (f) => f.settings([[SettingId.INITIAL_WINDOW_SIZE, 0x8000_0000]]),
  ],
  "§6.5.2 SETTINGS_MAX_FRAME_SIZE below 2^14": [
    PROTOCOL_ERROR,
    (f) => f.settings([[SettingId.MAX_FRAME_SIZE, 16_383]]),
  ],
  "§6.5.2 SETTINGS_MAX_FRAME_SIZE above 2^24-1": [
    PROTOCOL_ERROR,
    (f) => f.settings([[SettingId.MAX_FRAME_SIZE, 16_777_216]]),
  ],
  "§6.6, §8.4 PUSH_PROMISE, which nobody has allowed": [
    PROTOCOL_ERROR,
    opened((f) => f.frame(FrameType.PUSH_PROMISE, END_HEADERS, 1, uint32(2))),
  ],
  "§6.7 PING on a stream": [PROTOCOL_ERROR, (f) => f.frame(PING, 0, 1, new Uint8Array(8))],
  "§6.7 PING of 7 bytes": [FRAME_SIZE_ERROR, (f) => f.frame(PING, 0, 0, new Uint8Array(7))],
  "§6.7 PING of 9 bytes": [FRAME_SIZE_ERROR, (f) => f.frame(PING, 0, 0, new Uint8Array(9))],
  "§6.7 an answer to PING of 7 bytes": [
    FRAME_SIZE_ERROR,
    (f) => f.frame(PING, Flag.ACK, 0, new Uint8Array(7)),
  ],
  "§6.8 GOAWAY on a stream": [PROTOCOL_ERROR, (f) => f.frame(GOAWAY, 0, 1, new Uint8Array(8))],
  "§4.2 GOAWAY of 7 bytes": [FRAME_SIZE_ERROR, (f) => f.frame(GOAWAY, 0, 0, new Uint8Array(7))],
  "§6.9 WINDOW_UPDATE of 3 bytes": [FRAME_SIZE_ERROR, (f) => f.frame(WINDOW_UPDATE, 0, 0, [0, 0, 1])],
  "§6.9 WINDOW_UPDATE of 5 bytes on a stream": [
    FRAME_SIZE_ERROR,
    opened((f) => f.frame(WINDOW_UPDATE, 0, 1, [0, 0, 0, 1, 0])),
  ],
  "§6.9 WINDOW_UPDATE by 0 on the connection": [PROTOCOL_ERROR, (f) => f.windowUpdate(0, 0)],
  "§6.9.1 the connection's window above 2^31-1": [
    FLOW_CONTROL_ERROR,
    (f) => concat(f.windowUpdate(0, 0x7fff_0000), f.windowUpdate(0, 1)),
  ],
  "§6.9.2 SETTINGS that push a stream's window above 2^31-1": [
    FLOW_CONTROL_ERROR,
    opened((f) => concat(f.windowUpdate(1, 1), f.settings([[SettingId.INITIAL_WINDOW_SIZE, 0x7fff_ffff]]))),
  ],
  "§6.10 CONTINUATION without HEADERS": [
    PROTOCOL_ERROR,
    opened((f) => f.frame(CONTINUATION, END_HEADERS, 1)),
  ],
  "§6.10 CONTINUATION after END_HEADERS": [
    PROTOCOL_ERROR,
    opened((f) =>
      concat(f.frame(HEADERS, END_HEADERS, 1, f.block({})), f.frame(CONTINUATION, END_HEADERS, 1))
    ),
  ],
  "§6.10 CONTINUATION after the END_HEADERS of another": [
    PROTOCOL_ERROR,
    (f, bench) => {
      bench.open();
      return concat(
        f.frame(HEADERS, 0, 1, f.block(bench.role === "client" ? ANSWER : { "x": "y" })),
        f.frame(CONTINUATION, END_HEADERS, 1),
        f.frame(CONTINUATION, END_HEADERS, 1),
      );
    },
  ],
  "§6.10 CONTINUATION after DATA": [
    PROTOCOL_ERROR,
    flowing((f) => concat(f.data(1, [1]), f.frame(CONTINUATION, END_HEADERS, 1))),
  ],
  "§6.10 CONTINUATION on stream 0": [
    PROTOCOL_ERROR,
    opened((f) => concat(f.headers(1, ANSWER, { endHeaders: false }), f.frame(CONTINUATION, END_HEADERS, 0))),
  ],
  "§6.10 CONTINUATION of another stream": [
    PROTOCOL_ERROR,
    opened((f) => concat(f.headers(1, ANSWER, { endHeaders: false }), f.frame(CONTINUATION, END_HEADERS, 3))),
  ],
  "§6.10 DATA inside a header block": [
    PROTOCOL_ERROR,
    opened((f) => concat(f.headers(1, ANSWER, { endHeaders: false }), f.data(1, [1]))),
  ],
  "§6.10 PING inside a header block": [
    PROTOCOL_ERROR,
    opened((f) => concat(f.headers(1, ANSWER, { endHeaders: false }), f.ping())),
  ],
};

/** Frames that break stream 1 only. */
const STREAM_ERRORS: Readonly<Record<string, Violation>> = {
  "§5.1 DATA after END_STREAM": [
    STREAM_CLOSED,
    flowing((f) => concat(f.data(1, [], true), f.data(1, [1]))),
  ],
  "§5.1 HEADERS after END_STREAM": [
    STREAM_CLOSED,
    flowing((f) => concat(f.data(1, [], true), f.headers(1, { "x": "y" }, { endStream: true }))),
  ],
  "§5.1 DATA after the peer's RST_STREAM": [
    STREAM_CLOSED,
    opened((f) => concat(f.rstStream(1, 8), f.data(1, [1]))),
  ],
  "§5.1 HEADERS after the peer's RST_STREAM": [
    STREAM_CLOSED,
    opened((f) => concat(f.rstStream(1, 8), f.headers(1, ANSWER))),
  ],
  "RFC 7540 §5.3.1 PRIORITY that makes a stream depend on itself": [
    PROTOCOL_ERROR,
    opened((f) => f.priority(1, 1)),
  ],
  "RFC 7540 §5.3.1 HEADERS that make a stream depend on itself": [
    PROTOCOL_ERROR,
    (f, bench) => {
      if (bench.role === "client") bench.open();
      const block = f.block(bench.role === "client" ? ANSWER : REQUEST);
      return f.frame(HEADERS, PRIORITY | END_HEADERS, 1, [...uint32(1), 0, ...block]);
    },
  ],
  "§6.3 PRIORITY of 4 bytes": [
    FRAME_SIZE_ERROR,
    opened((f) => f.frame(FrameType.PRIORITY, 0, 1, [0, 0, 0, 0])),
  ],
  "§6.9 WINDOW_UPDATE by 0": [PROTOCOL_ERROR, opened((f) => f.windowUpdate(1, 0))],
  "§6.9.1 a stream's window above 2^31-1": [
    FLOW_CONTROL_ERROR,
    opened((f) => concat(f.windowUpdate(1, 0x7fff_0000), f.windowUpdate(1, 1))),
  ],
  "§8.1 trailers without END_STREAM": [PROTOCOL_ERROR, flowing((f) => f.headers(1, { "x": "y" }))],
};

for (const [role, start] of Object.entries(ROLES)) {
  for (const [what, violation] of Object.entries(CONNECTION_ERRORS)) {
    Deno.test(`Http2Connection as a ${role} ends the connection on ${what} (RFC 9113)`, () => {
      assertConnectionError(start, violation);
    });
  }
  for (const [what, violation] of Object.entries(STREAM_ERRORS)) {
    Deno.test(`Http2Connection as a ${role} resets the stream on ${what} (RFC 9113)`, () => {
      assertStreamError(start, violation);
    });
  }
}

/** Frames that look odd and are right: what they bring about, and what is answered. */
const ALLOWED: Readonly<
  Record<string, readonly [frames: Violation[1], events: readonly string[], output: readonly string[]]>
> = {
  "§4.1, §5.5 frames of unknown types": [
    flowing((f) => concat(f.frame(0x77, 0xff, 1, [1, 2]), f.frame(0xff, 0, 0), f.data(1, [1]))),
    ["data 1 1"],
    [],
  ],
  "§4.1 flags without a meaning": [
    flowing((f) => concat(f.frame(PING, 0xfe, 0, new Uint8Array(8)), f.frame(DATA, 0xf6, 1, [1]))),
    ["data 1 1"],
    ["PING 0 ACK"],
  ],
  "§4.1 the reserved bit of a stream's number": [
    flowing((f) =>
      concat(f.frame(DATA, 0, 0x8000_0001, [1]), f.frame(PING, 0, 0x8000_0000, new Uint8Array(8)))
    ),
    ["data 1 1"],
    ["PING 0 ACK"],
  ],
  "§4.2 a frame of exactly SETTINGS_MAX_FRAME_SIZE": [
    flowing((f) => f.data(1, new Uint8Array(16_384))),
    ["data 1 16384"],
    [],
  ],
  "§5.1 WINDOW_UPDATE, PRIORITY and RST_STREAM after END_STREAM": [
    flowing((f) => concat(f.data(1, [], true), f.windowUpdate(1, 9), f.priority(1), f.rstStream(1, 8))),
    ["data 1 0 end", "reset 1 8 by peer"],
    [],
  ],
  "§5.1 WINDOW_UPDATE, PRIORITY and RST_STREAM on a closed stream": [
    ended((f) =>
      concat(f.windowUpdate(1, 9), f.windowUpdate(1, 0x7fff_ffff), f.priority(1), f.rstStream(1, 8))
    ),
    [],
    [],
  ],
  "§5.1, §5.3.2 PRIORITY on an idle stream": [(f) => f.priority(9), [], []],
  "§5.1 frames that crossed our RST_STREAM": [
    (f, bench) => {
      bench.open();
      if (bench.role === "client") bench.events(f.headers(1, ANSWER));
      bench.connection.reset(1, ErrorCode.CANCEL);
      return concat(
        f.data(1, new Uint8Array(10)),
        f.windowUpdate(1, 0),
        f.headers(1, { "x": "y" }, { endStream: true }),
        f.rstStream(1, 8),
      );
    },
    [],
    [],
  ],
  "§5.4.2 RST_STREAM, which is never answered by another": [
    opened((f) => concat(f.rstStream(1, 0), f.rstStream(1, 8), f.rstStream(1, 8))),
    ["reset 1 0 by peer"],
    [],
  ],
  "§6.1 DATA with padding, as little content as none": [
    flowing((f) =>
      concat(f.frame(DATA, PADDED, 1, [2, 7, 0, 0]), f.frame(DATA, PADDED | END_STREAM, 1, [0]))
    ),
    ["data 1 1", "data 1 0 end"],
    [],
  ],
  "§6.5.2 unknown settings": [(f) => f.settings([[0x99, 7]]), ["capacity"], ["SETTINGS 0 ACK"]],
  "§6.5.3 several SETTINGS, each acknowledged": [
    (f) => concat(f.settings(), f.settings(), f.settingsAck()),
    ["capacity", "capacity"],
    ["SETTINGS 0 ACK", "SETTINGS 0 ACK"],
  ],
  "§6.7 an answer to PING, which is not answered": [(f) => f.ping(true), ["pong"], []],
  "§7 unknown codes of errors": [
    opened((f) => concat(f.rstStream(1, 0xdead_beef), f.goaway(1, 0xffff_ffff))),
    ["reset 1 3735928559 by peer", "goaway 1 4294967295"],
    [],
  ],
};

for (const [role, start] of Object.entries(ROLES)) {
  for (const [what, [frames, events, output]] of Object.entries(ALLOWED)) {
    Deno.test(`Http2Connection as a ${role} takes ${what} (RFC 9113)`, () => {
      const { bench, outcome } = assertSameHoweverCut(start, frames);
      assert.deepEqual(outcome.events.map(eventLine), events);
      assert.deepEqual(outcome.output, output);
      if (bench.connection.canOpenStream || role === "server") assertWorks(bench);
    });
  }
}

Deno.test("Http2Connection ends the connection on PRIORITY that makes an idle stream depend on itself: it can't be reset (RFC 7540 §5.3.1, RFC 9113 §6.4)", () => {
  assertConnectionError(() => Bench.server(), [PROTOCOL_ERROR, (f) => f.priority(7, 7)]);
});

Deno.test("Http2Connection answers PING with the same octets (RFC 9113 §6.7)", () => {
  const bench = Bench.server();
  bench.events(bench.peer.frame(PING, 0, 0, [9, 8, 7, 6, 5, 4, 3, 2]));
  const answer = bench.connection.takeOutput();
  assert.deepEqual([...answer], [0, 0, 8, PING, Flag.ACK, 0, 0, 0, 0, 9, 8, 7, 6, 5, 4, 3, 2]);
});

Deno.test("Http2Connection takes the last of a setting's values, in order (RFC 9113 §6.5, §6.5.3)", () => {
  const bench = Bench.server();
  bench.open();
  bench.events(
    bench.peer.settings([[SettingId.INITIAL_WINDOW_SIZE, 5], [SettingId.INITIAL_WINDOW_SIZE, 7]]),
    bench.peer.settings([[SettingId.INITIAL_WINDOW_SIZE, 9]]),
  );
  bench.connection.data(1, new Uint8Array(20));
  assert.deepEqual(bench.output(), ["SETTINGS 0 ACK", "SETTINGS 0 ACK", "DATA 1 9"]);
});

Deno.test("Http2Connection acknowledges SETTINGS before it sends what they allow: the peer counts by its old ones until then (RFC 9113 §6.5.3)", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.open();
  bench.connection.data(1, new Uint8Array(30));
  assert.deepEqual(bench.output(), ["DATA 1 10"]);
  bench.events(bench.peer.settings([[SettingId.INITIAL_WINDOW_SIZE, 25]]));
  assert.deepEqual(bench.output(), ["SETTINGS 0 ACK", "DATA 1 15"]);
});

Deno.test("Http2Connection keeps the connection's window when the initial window changes (RFC 9113 §6.9.2)", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  bench.open();
  bench.events(bench.peer.settings([[SettingId.INITIAL_WINDOW_SIZE, 2_000_000]]));
  bench.output();
  bench.connection.data(1, new Uint8Array(100_000));
  assert.equal(bench.connection.queuedBytes(1), 100_000 - 65_535);
});

Deno.test("Http2Connection sends frames as large as the peer takes, and no larger (RFC 9113 §4.2, §6.5.2)", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  bench.open();
  bench.connection.data(1, new Uint8Array(20_000));
  assert.deepEqual(bench.output(), ["DATA 1 16384", "DATA 1 3616"]);
  bench.events(bench.peer.settings([[SettingId.MAX_FRAME_SIZE, 20_000]]));
  bench.connection.data(1, new Uint8Array(20_001));
  assert.deepEqual(bench.output(), ["SETTINGS 0 ACK", "DATA 1 20000", "DATA 1 1"]);
});

Deno.test("Http2Connection sends a large message in frames that leave room in the output, however large the peer takes them (RFC 9113 §4.2)", () => {
  const bench = Bench.server({}, [
    [SettingId.INITIAL_WINDOW_SIZE, 0x7fff_ffff],
    [SettingId.MAX_FRAME_SIZE, 16_777_215],
  ]);
  bench.events(bench.peer.windowUpdate(0, 0x7fff_0000));
  const ids = [bench.open(), bench.open(), bench.open()];
  for (const id of ids) bench.connection.data(id, new Uint8Array(4_000_000));
  // The peer says something while the socket has not taken anything yet: that is no fault of its own.
  assert.deepEqual(bench.events(bench.peer.ping()), []);
  const sent = new Map(ids.map((id) => [id, 0]));
  for (let lines = bench.output(); lines.length > 0; lines = bench.output()) {
    for (const line of lines.filter((line) => line.startsWith("DATA"))) {
      const [id = 0, bytes = 0] = line.split(" ").slice(1).map(Number);
      assert.ok(bytes <= 65_536, line);
      sent.set(id, (sent.get(id) ?? 0) + bytes);
    }
  }
  assert.deepEqual([...sent.values()], [4_000_000, 4_000_000, 4_000_000]);
});

Deno.test("Http2Connection counts DATA that nobody takes against the connection's window, and gives it back (RFC 9113 §5.1, §6.9)", () => {
  for (
    const bench of [
      Bench.server({ connectionWindowBytes: 65_535 }),
      Bench.client({ connectionWindowBytes: 65_535 }),
    ]
  ) {
    bench.open();
    if (bench.role === "client") bench.events(bench.peer.headers(1, ANSWER));
    bench.connection.reset(1, ErrorCode.CANCEL);
    bench.output();
    for (let i = 0; i < 20; i++) {
      assert.deepEqual(bench.events(bench.peer.data(1, new Uint8Array(16_000))), []);
    }
    assert.deepEqual(new Set(bench.output()), new Set(["WINDOW_UPDATE 0 48000"]));
    bench.open();
    bench.events(...Array.from({ length: 4 }, () => bench.peer.data(1, new Uint8Array(16_000))));
    assert.match(bench.output().join(), /WINDOW_UPDATE 0 /);
  }
});

Deno.test("Http2Connection ends the connection on DATA above the connection's window (RFC 9113 §6.9.1)", () => {
  const frames: Violation[1] = (f, bench) => {
    bench.open();
    bench.open();
    const piece = new Uint8Array(16_384);
    return concat(f.data(1, piece), f.data(3, piece), f.data(1, piece), f.data(3, piece), f.data(1, [1]));
  };
  const start = () => Bench.server({ connectionWindowBytes: 65_536 });
  assertConnectionError(() => Bench.server({ connectionWindowBytes: 65_535 }), [FLOW_CONTROL_ERROR, frames]);
  assertConnectionError(start, [FLOW_CONTROL_ERROR, frames]);
});

Deno.test("Http2Connection takes 65,535 bytes on a stream from a peer that may not know our smaller window yet (RFC 9113 §6.9.3)", () => {
  const bench = Bench.server({ streamWindowBytes: 10_000 });
  const piece = new Uint8Array(13_107);
  bench.open();
  for (let i = 0; i < 5; i++) {
    assert.deepEqual(bench.events(bench.peer.data(1, piece)), ["data 1 13107"]);
  }
  assert.deepEqual(bench.events(bench.peer.data(1, [1])), [`reset 1 ${FLOW_CONTROL_ERROR} by us`]);
});

Deno.test("Http2Connection opens a window again that was overdrawn before our SETTINGS were known (RFC 9113 §6.9.2)", () => {
  const bench = Bench.server({ streamWindowBytes: 10_000 });
  bench.open();
  bench.output();
  bench.events(bench.peer.data(1, new Uint8Array(15_000)), bench.peer.settingsAck());
  bench.connection.consume(1, 15_000);
  // The peer stands at 10,000 - 15,000 once it applies our SETTINGS, and at 10,000 after this.
  assert.deepEqual(bench.output(), ["WINDOW_UPDATE 1 15000"]);
  assert.deepEqual(bench.events(bench.peer.headers(3, REQUEST), bench.peer.data(3, new Uint8Array(10_001))), [
    "headers 3",
    `reset 3 ${FLOW_CONTROL_ERROR} by us`,
  ]);
});

Deno.test("Http2Connection asks for a size update once the peer knows of a smaller header table (RFC 9113 §4.3.1)", () => {
  const start = () => Bench.server({ headerTableBytes: 100 });
  assertConnectionError(start, [
    COMPRESSION_ERROR,
    (f, bench) => {
      bench.events(f.headers(1, REQUEST));
      return concat(f.settingsAck(), f.headers(3, REQUEST));
    },
  ]);
  const bench = start();
  bench.events(bench.peer.headers(1, REQUEST), bench.peer.settingsAck());
  bench.peer.tableBytes(100);
  assert.deepEqual(bench.events(bench.peer.headers(3, REQUEST)), ["headers 3"]);
});

Deno.test("Http2Connection empties and shrinks its header table as the peer's SETTINGS say (RFC 9113 §4.3.1)", () => {
  const bench = Bench.client();
  bench.open();
  bench.events(bench.peer.settings([[SettingId.HEADER_TABLE_SIZE, 0]]));
  bench.output();
  bench.connection.request(fieldList(REQUEST), true);
  const taken = bench.connection.takeOutput();
  assert.equal(taken[9], 0x20, "the block begins with a size update to 0");
});
