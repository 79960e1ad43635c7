/** RFC 9113 §5.1.1 and §8: requests, responses and trailers that a peer may not send, and odd ones that it may. */
import assert from "node:assert/strict";
import { ErrorCode } from "./error_code.ts";
import { Flag, FrameType } from "./frame/frame_type.ts";
import type { HeaderField } from "./hpack/header_field.ts";
import { SettingId } from "./settings.ts";
import { Bench, eventLine, fieldList } from "./testing/bench.ts";
import { ANSWER, concat, type FrameFactory, REQUEST } from "./testing/frame_factory.ts";
import {
  assertConnectionError,
  assertSameHoweverCut,
  assertStreamError,
  assertWorks,
  type Violation,
} from "./testing/violation.ts";

type Fields = Readonly<Record<string, string>> | readonly HeaderField[];

const { ENHANCE_YOUR_CALM, PROTOCOL_ERROR, STREAM_CLOSED } = ErrorCode;

/** A field that no header list may hold (§8.2.1, §8.2.2), whichever it is. */
const BAD_FIELDS: Readonly<Record<string, HeaderField>> = {
  "§8.2.1 a field without a name": { name: "", value: "x" },
  "§8.2.1 a colon inside a name": { name: "a:b", value: "x" },
  "§8.2.1 a name in upper case": { name: "Content-Type2", value: "x" },
  "§8.2.1 white space before a value": { name: "x", value: " a" },
  "§8.2.1 a tab before a value": { name: "x", value: "\ta" },
  "§8.2.1 white space after a value": { name: "x", value: "a " },
  "§8.2.1 a tab after a value": { name: "x", value: "a\t" },
  "§8.2.1 NUL in a value": { name: "x", value: "a\0b" },
  "§8.2.1 CR in a value": { name: "x", value: "a\rb" },
  "§8.2.1 LF in a value": { name: "x", value: "a\nb" },
  "§8.2.2 connection": { name: "connection", value: "keep-alive" },
  "§8.2.2 proxy-connection": { name: "proxy-connection", value: "x" },
  "§8.2.2 keep-alive": { name: "keep-alive", value: "timeout=5" },
  "§8.2.2 transfer-encoding": { name: "transfer-encoding", value: "chunked" },
  "§8.2.2 upgrade": { name: "upgrade", value: "h2c" },
  "§8.2.2 te with more than trailers": { name: "te", value: "trailers, deflate" },
  "§8.3 an unknown pseudo-header": { name: ":x", value: "y" },
  "§8.3 a pseudo-header in upper case": { name: ":PATH", value: "/" },
};

/** Octets that no name may hold (§8.2.1). */
const BAD_NAME_OCTETS = Array.from({ length: 256 }, (_, octet) => octet)
  .filter((octet) => octet <= 0x20 || (octet >= 0x41 && octet <= 0x5a) || octet >= 0x7f);

const request = (fields: Fields, endStream = false): Violation[1] => (f) =>
  f.headers(1, fields, { endStream });
const bad = (fields: Fields, endStream = false): Violation => [PROTOCOL_ERROR, request(fields, endStream)];
const without = (name: string) => fieldList(REQUEST).filter((field) => field.name !== name);

/** A request, its body in pieces, and the end, with trailers or without. */
function whole(
  headers: Fields,
  pieces: readonly number[],
  trailers?: Fields,
): (f: FrameFactory) => Uint8Array {
  return (f) =>
    concat(
      f.headers(1, headers),
      ...pieces.map((bytes, index) =>
        f.data(1, new Uint8Array(bytes), trailers === undefined && index === pieces.length - 1)
      ),
      trailers === undefined ? [] : f.headers(1, trailers, { endStream: true }),
    );
}

/** Requests that are malformed: the stream is reset, and no other. */
const REQUEST_FAULTS: Readonly<Record<string, Violation>> = {
  ...Object.fromEntries(
    Object.entries(BAD_FIELDS).map((
      [what, field],
    ) => [
      what,
      bad(field.name.startsWith(":") ? [field, ...fieldList(REQUEST)] : [...fieldList(REQUEST), field]),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(BAD_FIELDS).map((
      [what, field],
    ) => [`${what}, in trailers`, [PROTOCOL_ERROR, whole(REQUEST, [1], [field])]]),
  ),
  "§8.1 pseudo-headers in trailers": [PROTOCOL_ERROR, whole(REQUEST, [1], { ":path": "/" })],
  "§8.1.1 content-length above what came": [
    PROTOCOL_ERROR,
    whole({ ...REQUEST, "content-length": "3" }, [2]),
  ],
  "§8.1.1 content-length below what came": [
    PROTOCOL_ERROR,
    whole({ ...REQUEST, "content-length": "1" }, [2]),
  ],
  "§8.1.1 content-length above the sum of what came": [
    PROTOCOL_ERROR,
    whole({ ...REQUEST, "content-length": "4" }, [2, 1]),
  ],
  "§8.1.1 content-length below the sum of what came": [
    PROTOCOL_ERROR,
    whole({ ...REQUEST, "content-length": "2" }, [2, 1]),
  ],
  "§8.1.1 content-length above what came before trailers": [
    PROTOCOL_ERROR,
    whole({ ...REQUEST, "content-length": "3" }, [2], { "x": "y" }),
  ],
  "§8.1.1 content-length without content": bad({ ...REQUEST, "content-length": "1" }, true),
  "§8.1.1 content-length that is no number": bad({ ...REQUEST, "content-length": "1x" }),
  "§8.1.1 content-length below zero": bad({ ...REQUEST, "content-length": "-1" }),
  "§8.1.1 two content-lengths that differ": bad([
    ...fieldList(REQUEST),
    { name: "content-length", value: "1" },
    { name: "content-length", value: "2" },
  ]),
  "§8.3 a pseudo-header after a regular field": bad([...without(":path"), { name: ":path", value: "/" }]),
  "§8.3 :method twice": bad([{ name: ":method", value: "POST" }, ...fieldList(REQUEST)]),
  "§8.3 :scheme twice": bad([{ name: ":scheme", value: "http" }, ...fieldList(REQUEST)]),
  "§8.3 :path twice": bad([{ name: ":path", value: "/" }, ...fieldList(REQUEST)]),
  "§8.3 :authority twice": bad([{ name: ":authority", value: "localhost" }, ...fieldList(REQUEST)]),
  "§8.3 :status, which is for responses": bad([{ name: ":status", value: "200" }, ...fieldList(REQUEST)]),
  "§8.3.1 no :method": bad(without(":method")),
  "§8.3.1 no :scheme": bad(without(":scheme")),
  "§8.3.1 no :path": bad(without(":path")),
  "§8.3.1 an empty :path": bad({ ...REQUEST, ":path": "" }),
  "§8.3.1 an empty :path of another scheme": bad({ ...REQUEST, ":scheme": "x", ":path": "" }),
  '§8.3.1 a :path that does not begin with "/"': bad({ ...REQUEST, ":path": "x" }),
  "§8.3.1 the :path * without OPTIONS": bad({ ...REQUEST, ":path": "*" }),
  "§8.3.1 a :method that is no token": bad({ ...REQUEST, ":method": "PO ST" }),
  "§8.3.1 an empty :method": bad({ ...REQUEST, ":method": "" }),
  "§8.3.1 a :scheme that is none": bad({ ...REQUEST, ":scheme": "ht tp" }),
  "§8.3.1 an empty :scheme": bad({ ...REQUEST, ":scheme": "" }),
  "§8.3.1 an :authority that names a user": bad({ ...REQUEST, ":authority": "user@localhost" }),
  "§8.3.1 a host that differs from :authority": bad({ ...REQUEST, "host": "other.example" }),
  "§8.3.1 a host with another port than :authority": bad({
    ...REQUEST,
    "host": `${REQUEST[":authority"]}:81`,
  }),
  "§8.5 CONNECT with a :path": bad([
    { name: ":method", value: "CONNECT" },
    { name: ":authority", value: "a:1" },
    { name: ":path", value: "/" },
  ]),
  "§8.5 CONNECT with a :scheme": bad([
    { name: ":method", value: "CONNECT" },
    { name: ":authority", value: "a:1" },
    { name: ":scheme", value: "http" },
  ]),
  "§8.5 CONNECT without :authority": bad([{ name: ":method", value: "CONNECT" }]),
  "§10.5.1 a header list above SETTINGS_MAX_HEADER_LIST_SIZE": [
    ENHANCE_YOUR_CALM,
    request({ ...REQUEST, "x": "y".repeat(17_000) }),
  ],
};

for (const [what, violation] of Object.entries(REQUEST_FAULTS)) {
  Deno.test(`Http2Connection as a server resets the stream on ${what} (RFC 9113)`, () => {
    assertStreamError(() => Bench.server(), violation);
  });
}

Deno.test("Http2Connection as a server refuses every octet that no field name may hold (RFC 9113 §8.2.1)", () => {
  for (const octet of BAD_NAME_OCTETS) {
    const bench = Bench.server();
    const name = `a${String.fromCharCode(octet)}`;
    assert.deepEqual(
      bench.events(bench.peer.headers(1, [...fieldList(REQUEST), { name, value: "x" }])),
      [`reset 1 ${PROTOCOL_ERROR} by us`],
      `octet ${octet}`,
    );
  }
});

/** Requests that are well-formed, however odd, and what they bring about. */
const REQUESTS: Readonly<Record<string, readonly [frames: Violation[1], events: readonly string[]]>> = {
  "§8.1 a request without a body": [request(REQUEST, true), ["headers 1 end"]],
  "§8.1 trailers": [whole(REQUEST, [1], { "x": "y" }), ["headers 1", "data 1 1", "trailers 1"]],
  "§8.1 trailers without a body before them": [whole(REQUEST, [], { "x": "y" }), ["headers 1", "trailers 1"]],
  "§8.1.1 content-length that is what came": [
    whole({ ...REQUEST, "content-length": "3" }, [2, 1]),
    ["headers 1", "data 1 2", "data 1 1 end"],
  ],
  "§8.1.1 content-length that is what came before trailers": [
    whole({ ...REQUEST, "content-length": "3" }, [2, 1], { "x": "y" }),
    ["headers 1", "data 1 2", "data 1 1", "trailers 1"],
  ],
  "§8.1.1 content-length twice, the same": [
    request([
      ...fieldList(REQUEST),
      { name: "content-length", value: "0" },
      { name: "content-length", value: "0" },
    ], true),
    ["headers 1 end"],
  ],
  "§8.2.1 octets above ASCII, tabs and spaces inside a value": [
    request({ ...REQUEST, "x": "a \t\xff b", "empty": "" }),
    ["headers 1"],
  ],
  "§8.2.2 te: trailers": [request({ ...REQUEST, "te": "trailers" }), ["headers 1"]],
  "§8.3.1 no :authority": [request(without(":authority")), ["headers 1"]],
  "§8.3.1 an :authority of another scheme that names a user": [
    request({ ...REQUEST, ":scheme": "other", ":authority": "user@localhost" }),
    ["headers 1"],
  ],
  "§8.3.1 a host that is :authority, written in another way": [
    request({ ...REQUEST, ":authority": "Bus.example", "host": "bus.EXAMPLE:80" }),
    ["headers 1"],
  ],
  "§8.3.1 a host without :authority": [request([...without(":authority"), { name: "host", value: "x" }]), [
    "headers 1",
  ]],
  "§8.3.1 the :path * with OPTIONS": [
    request({ ":method": "OPTIONS", ":scheme": "http", ":path": "*" }),
    ["headers 1"],
  ],
  "§8.5 CONNECT": [request({ ":method": "CONNECT", ":authority": "a:1" }), ["headers 1"]],
  "§6.2 padding and priority": [
    (f) => {
      const block = f.block(REQUEST);
      const flags = Flag.PADDED | Flag.PRIORITY | Flag.END_HEADERS;
      return f.frame(FrameType.HEADERS, flags, 1, [3, 0x80, 0, 0, 9, 255, ...block, 0, 0, 0]);
    },
    ["headers 1"],
  ],
  "§6.10 a header block in many frames, empty ones too": [
    (f) => {
      const block = f.block(REQUEST);
      return concat(
        f.frame(FrameType.HEADERS, Flag.END_STREAM, 1, []),
        f.frame(FrameType.CONTINUATION, 0, 1, block.subarray(0, 1)),
        f.frame(FrameType.CONTINUATION, 0, 1, block.subarray(1, 20)),
        f.frame(FrameType.CONTINUATION, 0, 1, []),
        f.frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, block.subarray(20)),
      );
    },
    ["headers 1 end"],
  ],
  "§5.1.1 numbers that skip some": [
    (f) => concat(f.headers(7, REQUEST, { endStream: true }), f.headers(9, REQUEST, { endStream: true })),
    ["headers 7 end", "headers 9 end"],
  ],
};

for (const [what, [frames, events]] of Object.entries(REQUESTS)) {
  Deno.test(`Http2Connection as a server takes ${what} (RFC 9113)`, () => {
    const { bench, outcome } = assertSameHoweverCut(() => Bench.server(), frames);
    assert.deepEqual(outcome.events.map(eventLine), events);
    assert.deepEqual(outcome.output, []);
    assertWorks(bench);
  });
}

/** Numbers of streams that a client may not use: the connection ends. */
const NUMBER_FAULTS: Readonly<Record<string, Violation>> = {
  "§5.1.1 a number that was skipped": [
    PROTOCOL_ERROR,
    (f) => concat(f.headers(5, REQUEST, { endStream: true }), f.headers(3, REQUEST)),
  ],
  "§5.1.1 the first number, when it was skipped": [
    PROTOCOL_ERROR,
    (f) => concat(f.headers(3, REQUEST, { endStream: true }), f.headers(1, REQUEST)),
  ],
  "§5.1 the number of a stream that has ended": [
    STREAM_CLOSED,
    (f, bench) => {
      bench.open(true);
      bench.connection.respond(1, fieldList(ANSWER), true);
      return f.headers(1, REQUEST);
    },
  ],
};

for (const [what, violation] of Object.entries(NUMBER_FAULTS)) {
  Deno.test(`Http2Connection as a server ends the connection on ${what} (RFC 9113)`, () => {
    assertConnectionError(() => Bench.server(), violation);
  });
}

/** The frames of an answer on stream 1, which the client has opened and not ended. */
function answer(
  frames: (f: FrameFactory) => Uint8Array,
  head: Readonly<Record<string, string>> = REQUEST,
): Violation[1] {
  return (f, bench) => {
    bench.connection.request(fieldList(head), false);
    return frames(f);
  };
}

const badAnswer = (fields: Fields, endStream = false): Violation => [
  PROTOCOL_ERROR,
  answer((f) => f.headers(1, fields, { endStream })),
];
const wholeAnswer = (headers: Fields, pieces: readonly number[], trailers?: Fields): Violation => [
  PROTOCOL_ERROR,
  answer(whole(headers, pieces, trailers)),
];

/** Answers that are malformed: the stream is reset, and no other. */
const ANSWER_FAULTS: Readonly<Record<string, Violation>> = {
  ...Object.fromEntries(
    Object.entries(BAD_FIELDS).map((
      [what, field],
    ) => [
      what,
      badAnswer(field.name.startsWith(":") ? [field, ...fieldList(ANSWER)] : [...fieldList(ANSWER), field]),
    ]),
  ),
  ...Object.fromEntries(
    Object.entries(BAD_FIELDS).map((
      [what, field],
    ) => [`${what}, in trailers`, wholeAnswer(ANSWER, [1], [field])]),
  ),
  "§8.1 DATA before the headers": [PROTOCOL_ERROR, answer((f) => f.data(1, [1]))],
  "§8.1 DATA after an informational response only": [
    PROTOCOL_ERROR,
    answer((f) => concat(f.headers(1, { ":status": "103" }), f.data(1, [1]))),
  ],
  "§8.1 an informational response that ends the stream": badAnswer({ ":status": "103" }, true),
  "§8.1 an informational response after the headers": [
    PROTOCOL_ERROR,
    answer((f) => concat(f.headers(1, ANSWER), f.headers(1, { ":status": "103" }))),
  ],
  "§8.1 pseudo-headers in trailers": wholeAnswer(ANSWER, [1], { ":status": "200" }),
  "§8.1.1 content-length above what came": wholeAnswer({ ...ANSWER, "content-length": "3" }, [2]),
  "§8.1.1 content-length below what came": wholeAnswer({ ...ANSWER, "content-length": "1" }, [1, 1]),
  "§8.1.1 content-length above what came before trailers": wholeAnswer(
    { ...ANSWER, "content-length": "3" },
    [2],
    { "x": "y" },
  ),
  "§8.1.1 content-length without content": badAnswer({ ...ANSWER, "content-length": "1" }, true),
  "§8.3 :status after a regular field": badAnswer([{ name: "x", value: "y" }, ...fieldList(ANSWER)]),
  "§8.3 :status twice": badAnswer([{ name: ":status", value: "200" }, ...fieldList(ANSWER)]),
  "§8.3 :method, which is for requests": badAnswer([...fieldList(ANSWER).slice(0, 1), {
    name: ":method",
    value: "GET",
  }]),
  "§8.3.2 no :status": badAnswer({ "content-type": "application/grpc" }),
  "§8.3.2 an empty list": badAnswer({}),
  "§8.3.2 a :status of two digits": badAnswer({ ":status": "20" }),
  "§8.3.2 a :status that is no number": badAnswer({ ":status": "2xx" }),
  "§8.6 the status 101": badAnswer({ ":status": "101" }),
  "§10.5.1 a header list above SETTINGS_MAX_HEADER_LIST_SIZE": [
    ENHANCE_YOUR_CALM,
    answer((f) => f.headers(1, { ...ANSWER, "x": "y".repeat(17_000) })),
  ],
};

for (const [what, violation] of Object.entries(ANSWER_FAULTS)) {
  Deno.test(`Http2Connection as a client resets the stream on ${what} (RFC 9113)`, () => {
    assertStreamError(() => Bench.client(), violation);
  });
}

/** Answers that are well-formed, however odd, and what they bring about. */
const ANSWERS: Readonly<Record<string, readonly [frames: Violation[1], events: readonly string[]]>> = {
  "§8.1 informational responses before the headers": [
    answer((f) =>
      concat(
        f.headers(1, { ":status": "100" }),
        f.headers(1, { ":status": "103", "link": "x" }),
        f.headers(1, ANSWER),
        f.data(1, [1]),
        f.headers(1, { "grpc-status": "0" }, { endStream: true }),
      )
    ),
    ["headers 1", "data 1 1", "trailers 1"],
  ],
  "§8.1 a complete answer, then a request to stop sending": [
    answer((f) => concat(f.headers(1, ANSWER, { endStream: true }), f.rstStream(1, ErrorCode.NO_ERROR))),
    ["headers 1 end", "reset 1 0 by peer"],
  ],
  "§8.1.1 content-length of an answer to HEAD": [
    answer((f) => f.headers(1, { ...ANSWER, "content-length": "9" }, { endStream: true }), {
      ...REQUEST,
      ":method": "HEAD",
    }),
    ["headers 1 end"],
  ],
  "§8.1.1 content-length of an answer 304": [
    answer((f) => f.headers(1, { ":status": "304", "content-length": "9" }, { endStream: true })),
    ["headers 1 end"],
  ],
  "§8.3.2 a status that nobody has defined": [answer((f) => f.headers(1, { ":status": "799" })), [
    "headers 1",
  ]],
};

for (const [what, [frames, events]] of Object.entries(ANSWERS)) {
  Deno.test(`Http2Connection as a client takes ${what} (RFC 9113)`, () => {
    const { bench, outcome } = assertSameHoweverCut(() => Bench.client(), frames);
    assert.deepEqual(outcome.events.map(eventLine), events);
    assert.deepEqual(outcome.output, []);
    assertWorks(bench);
  });
}

/** What only a server could break: the connection ends. */
const SERVER_FAULTS: Readonly<Record<string, Violation>> = {
  "§5.1.1 HEADERS on a stream that it opens itself": [PROTOCOL_ERROR, (f) => f.headers(2, ANSWER)],
  "§5.1 HEADERS on a stream that nobody opened": [
    PROTOCOL_ERROR,
    (f, bench) => {
      bench.open();
      return f.headers(3, ANSWER);
    },
  ],
  "§6.5.2 SETTINGS_ENABLE_PUSH of 1": [PROTOCOL_ERROR, (f) => f.settings([[SettingId.ENABLE_PUSH, 1]])],
};

for (const [what, violation] of Object.entries(SERVER_FAULTS)) {
  Deno.test(`Http2Connection as a client ends the connection on ${what} (RFC 9113)`, () => {
    assertConnectionError(() => Bench.client(), violation);
  });
}

Deno.test("Http2Connection as a server takes SETTINGS_ENABLE_PUSH of 0 and 1, and pushes nothing (RFC 9113 §6.5.2)", () => {
  const bench = Bench.server();
  for (const value of [0, 1]) {
    assert.deepEqual(bench.events(bench.peer.settings([[SettingId.ENABLE_PUSH, value]])), ["capacity"]);
  }
  assertWorks(bench);
});

Deno.test("Http2Connection as a server goes on with a client's streams after its GOAWAY, which is about others (RFC 9113 §6.8)", () => {
  const bench = Bench.server();
  bench.open();
  assert.deepEqual(bench.events(bench.peer.goaway(0, ErrorCode.NO_ERROR)), ["goaway 0 0"]);
  assert.deepEqual(bench.events(bench.peer.data(1, [1], true)), ["data 1 1 end"]);
  bench.connection.respond(1, fieldList(ANSWER), true);
  assert.match(bench.output().join(), /^HEADERS 1 END_STREAM/);
});

Deno.test("Http2Connection as a client opens no stream while the server allows none (RFC 9113 §5.1.2)", () => {
  const bench = Bench.client({}, [[SettingId.MAX_CONCURRENT_STREAMS, 0]]);
  assert.equal(bench.connection.canOpenStream, false);
  assert.throws(() => bench.open(), /takes no more/);
  assert.deepEqual(bench.events(bench.peer.settings([[SettingId.MAX_CONCURRENT_STREAMS, 1]])), ["capacity"]);
  assert.equal(bench.open(), 1);
  assert.equal(bench.connection.canOpenStream, false);
});

Deno.test("Http2Connection as a client opens as many streams as the server allows", () => {
  const bench = Bench.client({}, [[SettingId.MAX_CONCURRENT_STREAMS, 2]]);
  bench.open(true);
  bench.open(true);
  assert.equal(bench.connection.canOpenStream, false);
  assert.throws(() => bench.connection.request([], true), /takes no more/);
  assert.deepEqual(bench.events(bench.peer.headers(1, ANSWER, { endStream: true })), [
    "headers 1 end",
    "capacity",
  ]);
  assert.equal(bench.connection.canOpenStream, true);
});

Deno.test("Http2Connection as a client tells which streams a GOAWAY never looked at, and those of a later one (RFC 9113 §6.8)", () => {
  const bench = Bench.client();
  for (let i = 0; i < 3; i++) bench.open(true);
  const refused = (id: number) => `reset ${id} ${ErrorCode.REFUSED_STREAM} by peer`;
  assert.deepEqual(bench.events(bench.peer.goaway(3, 0)), [refused(5), "goaway 3 0"]);
  assert.equal(bench.connection.canOpenStream, false);
  assert.deepEqual(bench.events(bench.peer.goaway(1, 0)), [refused(3), "goaway 1 0"]);
  // A server may not raise the number again: nothing comes back to life.
  assert.deepEqual(bench.events(bench.peer.goaway(9, 0)), ["goaway 9 0"]);
  assert.equal(bench.connection.canOpenStream, false);
  assert.deepEqual(bench.events(bench.peer.headers(1, ANSWER, { endStream: true })), ["headers 1 end"]);
});

Deno.test("Http2Connection as a client ends a flood of informational responses (RFC 9113 §10.5)", () => {
  const bench = Bench.client({ idleFrames: { burst: 10, perSecond: 0 } });
  bench.open();
  for (let i = 0; i < 10; i++) {
    assert.deepEqual(bench.events(bench.peer.headers(1, { ":status": "103" })), []);
  }
  assert.deepEqual(bench.events(bench.peer.headers(1, { ":status": "103" })), [
    `failed ${ENHANCE_YOUR_CALM}`,
  ]);
});

Deno.test("Http2Connection as a client keeps no stream for a request that can't be encoded", () => {
  const bench = Bench.client();
  assert.throws(() => bench.connection.request([{ name: ":path", value: "/\u2603" }], true), RangeError);
  assert.equal(bench.connection.openStreams, 0);
  assertWorks(bench);
});
