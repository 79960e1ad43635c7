import assert from "node:assert/strict";
import { Http2Connection } from "./connection.ts";
import { ErrorCode } from "./error_code.ts";
import type { Http2Event } from "./event.ts";
import { Flag, FrameType } from "./frame/frame_type.ts";
import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "./limits.ts";
import { SettingId } from "./settings.ts";
import { concat, FrameFactory, REQUEST, uint32 } from "./testing/frame_factory.ts";
import { FrameLog } from "./testing/frame_log.ts";

/** A server connection and the frames of a client, with what each side says as lines. */
class Bench {
  readonly client = new FrameFactory();
  readonly server: Http2Connection;
  readonly #log = new FrameLog();
  nowMs = 0;

  constructor(limits: Partial<Http2Limits> = {}, settings: readonly (readonly [number, number])[] = []) {
    this.server = new Http2Connection("server", { ...DEFAULT_HTTP2_LIMITS, ...limits });
    this.events(this.client.hello(settings));
    this.output();
  }

  events(...pieces: readonly Uint8Array[]): string[] {
    return this.server.receive(concat(...pieces), this.nowMs).map(eventLine);
  }

  output(): string[] {
    const taken = this.server.takeOutput();
    const lines = this.#log.read(taken);
    this.server.outputWritten(taken);
    return lines;
  }
}

function eventLine(event: Http2Event): string {
  switch (event.type) {
    case "headers":
      return `headers ${event.streamId}${event.endStream ? " end" : ""}`;
    case "data":
      return `data ${event.streamId} ${event.bytes.length}${event.endStream ? " end" : ""}`;
    case "trailers":
    case "drained":
      return `${event.type} ${event.streamId}`;
    case "reset":
      return `reset ${event.streamId} ${event.code} by ${event.by}`;
    case "goaway":
      return `goaway ${event.lastStreamId} ${event.code}`;
    case "failed":
      return `failed ${event.error.code}`;
    case "capacity":
    case "idle":
    case "pong":
      return event.type;
  }
}

/** Frames that break the connection, by the RFC's section: after them GOAWAY with the code, and nothing goes on. */
const CONNECTION_ERRORS: Readonly<Record<string, [ErrorCode, (f: FrameFactory) => Uint8Array]>> = {
  "§4.2 a frame above SETTINGS_MAX_FRAME_SIZE": [
    ErrorCode.FRAME_SIZE_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.data(1, new Uint8Array(16_385))),
  ],
  "§4.3 a header block that does not decode": [
    ErrorCode.COMPRESSION_ERROR,
    (f) => f.frame(FrameType.HEADERS, Flag.END_HEADERS, 1, [0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  ],
  "§5.1 DATA on an idle stream": [ErrorCode.PROTOCOL_ERROR, (f) => f.data(1, [1])],
  "§5.1 RST_STREAM on an idle stream": [ErrorCode.PROTOCOL_ERROR, (f) => f.rstStream(1, 8)],
  "§5.1 WINDOW_UPDATE on an idle stream": [ErrorCode.PROTOCOL_ERROR, (f) => f.windowUpdate(1, 1)],
  "§5.1.1 a client stream with an even number": [ErrorCode.PROTOCOL_ERROR, (f) => f.headers(2, REQUEST)],
  "§5.1.1 a stream number below the last": [
    ErrorCode.STREAM_CLOSED,
    (f) => concat(f.headers(5, REQUEST, { endStream: true }), f.headers(3, REQUEST)),
  ],
  "§6.1 DATA on stream 0": [ErrorCode.PROTOCOL_ERROR, (f) => f.data(0, [1])],
  "§6.1 DATA with more padding than payload": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.frame(FrameType.DATA, Flag.PADDED, 1, [5, 1, 2])),
  ],
  "§6.2 HEADERS on stream 0": [ErrorCode.PROTOCOL_ERROR, (f) => f.headers(0, REQUEST)],
  "§6.2 HEADERS with more padding than payload": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.frame(FrameType.HEADERS, Flag.PADDED | Flag.END_HEADERS, 1, [200, 0x82]),
  ],
  "§6.3 PRIORITY on stream 0": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.frame(FrameType.PRIORITY, 0, 0, [0, 0, 0, 1, 1]),
  ],
  "§6.4 RST_STREAM on stream 0": [ErrorCode.PROTOCOL_ERROR, (f) => f.rstStream(0, 8)],
  "§6.4 RST_STREAM of another length": [
    ErrorCode.FRAME_SIZE_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.frame(FrameType.RST_STREAM, 0, 1, [0, 0, 0])),
  ],
  "§6.5 SETTINGS on a stream": [ErrorCode.PROTOCOL_ERROR, (f) => f.frame(FrameType.SETTINGS, 0, 1)],
  "§6.5 SETTINGS of no multiple of 6": [
    ErrorCode.FRAME_SIZE_ERROR,
    (f) => f.frame(FrameType.SETTINGS, 0, 0, [1, 2]),
  ],
  "§6.5 an acknowledgement with values": [
    ErrorCode.FRAME_SIZE_ERROR,
    (f) => f.frame(FrameType.SETTINGS, Flag.ACK, 0, [0, 1, 0, 0, 0, 0]),
  ],
  "§6.5.2 SETTINGS_ENABLE_PUSH of 2": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.settings([[SettingId.ENABLE_PUSH, 2]]),
  ],
  "§6.5.2 SETTINGS_INITIAL_WINDOW_SIZE of 2^31": [
    ErrorCode.FLOW_CONTROL_ERROR,
    (f) => f.settings([[SettingId.INITIAL_WINDOW_SIZE, 0x8000_0000]]),
  ],
  "§6.5.2 SETTINGS_MAX_FRAME_SIZE below 16,384": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.settings([[SettingId.MAX_FRAME_SIZE, 16_383]]),
  ],
  "§6.5.2 SETTINGS_MAX_FRAME_SIZE above 2^24-1": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.settings([[SettingId.MAX_FRAME_SIZE, 16_777_216]]),
  ],
  "§6.6 PUSH_PROMISE from a client": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, [0, 0, 0, 2]),
  ],
  "§6.7 PING on a stream": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.frame(FrameType.PING, 0, 1, new Uint8Array(8)),
  ],
  "§6.7 PING of another length": [ErrorCode.FRAME_SIZE_ERROR, (f) => f.frame(FrameType.PING, 0, 0, [1])],
  "§6.8 GOAWAY on a stream": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.frame(FrameType.GOAWAY, 0, 1, new Uint8Array(8)),
  ],
  "§6.9 WINDOW_UPDATE of another length": [
    ErrorCode.FRAME_SIZE_ERROR,
    (f) => f.frame(FrameType.WINDOW_UPDATE, 0, 0, [1]),
  ],
  "§6.9 WINDOW_UPDATE by 0 on the connection": [ErrorCode.PROTOCOL_ERROR, (f) => f.windowUpdate(0, 0)],
  "§6.9.1 the connection's window above 2^31-1": [
    ErrorCode.FLOW_CONTROL_ERROR,
    (f) => f.windowUpdate(0, 0x7fff_ffff),
  ],
  "§6.9.2 SETTINGS that push a stream's window above 2^31-1": [
    ErrorCode.FLOW_CONTROL_ERROR,
    (f) =>
      concat(
        f.headers(1, REQUEST),
        f.windowUpdate(1, 0x7fff_0000 - 65_535),
        f.settings([[SettingId.INITIAL_WINDOW_SIZE, 0x7fff_ffff]]),
      ),
  ],
  "§6.10 CONTINUATION without HEADERS": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.frame(FrameType.CONTINUATION, Flag.END_HEADERS, 1, []),
  ],
  "§6.10 another frame inside a header block": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => concat(f.headers(1, REQUEST, { endHeaders: false }), f.ping()),
  ],
  "§6.10 CONTINUATION of another stream": [
    ErrorCode.PROTOCOL_ERROR,
    (f) =>
      concat(
        f.headers(1, REQUEST, { endHeaders: false }),
        f.frame(FrameType.CONTINUATION, Flag.END_HEADERS, 3, []),
      ),
  ],
};

for (const [what, [code, frames]] of Object.entries(CONNECTION_ERRORS)) {
  Deno.test(`Http2Connection ends the connection on ${what} (RFC 9113)`, () => {
    const bench = new Bench();
    const events = bench.events(frames(bench.client));
    assert.equal(events.at(-1), `failed ${code}`);
    assert.equal(bench.output().at(-1), `GOAWAY 0 ${code}`);
    assert.deepEqual(bench.events(bench.client.ping()), [], "nothing goes on after it");
    assert.equal(bench.server.outputBytes, 0);
  });
}

/** Frames that break stream 1 only: RST_STREAM with the code, and the next stream works. */
const STREAM_ERRORS: Readonly<Record<string, [ErrorCode, (f: FrameFactory) => Uint8Array]>> = {
  "§5.1 DATA after END_STREAM": [
    ErrorCode.STREAM_CLOSED,
    (f) => concat(f.headers(1, REQUEST, { endStream: true }), f.data(1, [1])),
  ],
  "§5.1 HEADERS after END_STREAM": [
    ErrorCode.STREAM_CLOSED,
    (f) => concat(f.headers(1, REQUEST, { endStream: true }), f.headers(1, REQUEST, { endStream: true })),
  ],
  "§5.1 DATA after the peer's RST_STREAM": [
    ErrorCode.STREAM_CLOSED,
    (f) => concat(f.headers(1, REQUEST), f.rstStream(1, 8), f.data(1, [1])),
  ],
  "§6.3 PRIORITY of another length": [
    ErrorCode.FRAME_SIZE_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.frame(FrameType.PRIORITY, 0, 1, [0])),
  ],
  "§6.9 WINDOW_UPDATE by 0": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.windowUpdate(1, 0)),
  ],
  "§6.9.1 a stream's window above 2^31-1": [
    ErrorCode.FLOW_CONTROL_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.windowUpdate(1, 0x7fff_ffff)),
  ],
  "§8.1 trailers without END_STREAM": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.headers(1, { "x": "y" })),
  ],
  "§8.1 pseudo-headers in trailers": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => concat(f.headers(1, REQUEST), f.headers(1, { ":path": "/" }, { endStream: true })),
  ],
  "§8.1.1 content-length above what came": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => concat(f.headers(1, { ...REQUEST, "content-length": "3" }), f.data(1, [1, 2], true)),
  ],
  "§8.1.1 content-length below what came": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => concat(f.headers(1, { ...REQUEST, "content-length": "1" }), f.data(1, [1, 2], true)),
  ],
  "§8.2.1 a field name in upper case": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { ...REQUEST, "X-A": "b" }),
  ],
  "§8.2.1 a line break in a value": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { ...REQUEST, "x": "a\r\nb" }),
  ],
  "§8.2.1 white space around a value": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { ...REQUEST, "x": " a" }),
  ],
  "§8.2.2 a field of HTTP/1.1 connections": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { ...REQUEST, "connection": "close" }),
  ],
  "§8.2.2 te with another value than trailers": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { ...REQUEST, "te": "gzip" }),
  ],
  "§8.3 a pseudo-header after a regular field": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { "x": "y", ...REQUEST }),
  ],
  "§8.3 an unknown pseudo-header": [ErrorCode.PROTOCOL_ERROR, (f) => f.headers(1, { ":x": "y", ...REQUEST })],
  "§8.3 a pseudo-header of responses": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { ":status": "200", ...REQUEST }),
  ],
  "§8.3.1 no :method": [
    ErrorCode.PROTOCOL_ERROR,
    (f) => f.headers(1, { ":scheme": "http", ":path": "/" }),
  ],
  "§8.3.1 no :scheme": [ErrorCode.PROTOCOL_ERROR, (f) => f.headers(1, { ":method": "GET", ":path": "/" })],
  "§8.3.1 an empty :path": [ErrorCode.PROTOCOL_ERROR, (f) => f.headers(1, { ...REQUEST, ":path": "" })],
  "§10.5.1 a header list above the announced size": [
    ErrorCode.ENHANCE_YOUR_CALM,
    (f) => f.headers(1, { ...REQUEST, "x": "y".repeat(17_000) }),
  ],
};

for (const [what, [code, frames]] of Object.entries(STREAM_ERRORS)) {
  Deno.test(`Http2Connection resets the stream on ${what} (RFC 9113)`, () => {
    const bench = new Bench();
    bench.events(frames(bench.client));
    assert.deepEqual(bench.output().filter((line) => line.startsWith("RST_STREAM")), [
      `RST_STREAM 1 ${code}`,
    ]);
    assert.deepEqual(
      bench.events(bench.client.headers(3, REQUEST, { endStream: true })),
      ["headers 3 end"],
      "the connection goes on, and the header table is still in step",
    );
  });
}

Deno.test("Http2Connection tells a request and its body, and sends an answer with trailers", () => {
  const bench = new Bench();
  assert.deepEqual(
    bench.events(
      bench.client.headers(1, REQUEST),
      bench.client.data(1, [1, 2, 3]),
      bench.client.data(1, [4], true),
    ),
    ["headers 1", "data 1 3", "data 1 1 end"],
  );
  bench.server.respond(1, [{ name: ":status", value: "200" }]);
  bench.server.data(1, new Uint8Array(2));
  bench.server.data(1, new Uint8Array(3));
  bench.server.end(1, [{ name: "grpc-status", value: "0" }]);
  assert.deepEqual(bench.output(), [
    "HEADERS 1 :status=200",
    "DATA 1 5",
    "HEADERS 1 END_STREAM grpc-status=0",
  ]);
  assert.equal(bench.server.openStreams, 0);
});

Deno.test("Http2Connection reads the same whole, cut at every byte, and byte by byte", () => {
  const bytes = () => {
    const f = new FrameFactory();
    return concat(
      f.hello([[SettingId.INITIAL_WINDOW_SIZE, 100_000]]),
      f.headers(1, REQUEST),
      f.data(1, new Uint8Array(40), false),
      f.ping(),
      f.frame(0x77, 0, 0, [1, 2, 3]),
      f.headers(3, REQUEST, { endHeaders: false }),
      f.frame(FrameType.CONTINUATION, Flag.END_HEADERS, 3, f.block({ "x-more": "y" })),
      f.windowUpdate(0, 1_000),
      f.data(1, [], true),
      f.rstStream(3, 8),
    );
  };
  const whole = bytes();
  const run = (cuts: readonly number[]) => {
    const server = new Http2Connection("server", DEFAULT_HTTP2_LIMITS);
    const lines: string[] = [];
    let from = 0;
    for (const to of [...cuts, whole.length]) {
      lines.push(...server.receive(whole.slice(from, to), 0).map(eventLine));
      from = to;
    }
    return { lines, output: new FrameLog().read(server.takeOutput()) };
  };
  const expected = run([]);
  assert.deepEqual(expected.lines, [
    "capacity",
    "headers 1",
    "data 1 40",
    "headers 3",
    "data 1 0 end",
    "reset 3 8 by peer",
  ]);
  for (let cut = 1; cut < whole.length; cut++) assert.deepEqual(run([cut]), expected, `cut at ${cut}`);
  assert.deepEqual(run(Array.from({ length: whole.length - 1 }, (_, index) => index + 1)), expected);
});

Deno.test("Http2Connection.data waits for the stream's window and tells when it has drained (RFC 9113 §6.9)", () => {
  const bench = new Bench({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.client.headers(1, REQUEST, { endStream: true }));
  bench.server.respond(1, [{ name: ":status", value: "200" }]);
  bench.server.data(1, new Uint8Array(25));
  assert.equal(bench.server.queuedBytes(1), 15);
  assert.deepEqual(bench.output(), ["HEADERS 1 :status=200", "DATA 1 10"]);
  assert.deepEqual(bench.events(bench.client.windowUpdate(1, 10)), []);
  assert.deepEqual(bench.events(bench.client.windowUpdate(1, 10)), ["drained 1"]);
  assert.deepEqual(bench.output(), ["DATA 1 15"]);
});

Deno.test("Http2Connection.end sends trailers after what waits for the window", () => {
  const bench = new Bench({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.client.headers(1, REQUEST, { endStream: true }));
  bench.server.respond(1, [{ name: ":status", value: "200" }]);
  bench.server.data(1, new Uint8Array(15));
  bench.server.end(1, [{ name: "grpc-status", value: "0" }]);
  assert.deepEqual(bench.output(), ["HEADERS 1 :status=200", "DATA 1 10"]);
  bench.events(bench.client.windowUpdate(1, 5));
  assert.deepEqual(bench.output(), ["DATA 1 5", "HEADERS 1 END_STREAM grpc-status=0"]);
});

Deno.test("Http2Connection shares the connection's window between streams in turns (RFC 9113 §5.2)", () => {
  const bench = new Bench({}, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  bench.events(
    bench.client.headers(1, REQUEST, { endStream: true }),
    bench.client.headers(3, REQUEST, { endStream: true }),
  );
  bench.server.data(1, new Uint8Array(100_000));
  bench.server.data(3, new Uint8Array(100_000));
  assert.deepEqual(bench.output(), ["DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383"]);
  bench.events(bench.client.windowUpdate(0, 4 * 16_384));
  assert.deepEqual(bench.output(), ["DATA 1 16384", "DATA 3 16384", "DATA 1 16384", "DATA 3 16384"]);
});

Deno.test("Http2Connection keeps data in the streams while the output waits for the socket", () => {
  const bench = new Bench({ maxWaitingOutputBytes: 20_000 }, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  bench.events(
    bench.client.headers(1, REQUEST, { endStream: true }),
    bench.client.windowUpdate(0, 1_000_000),
  );
  bench.server.data(1, new Uint8Array(100_000));
  assert.ok(bench.server.outputBytes < 40_000, `${bench.server.outputBytes} bytes wait`);
  let sent = 0;
  while (bench.server.outputBytes > 0) {
    for (const line of bench.output()) sent += Number(line.split(" ")[2]);
  }
  assert.equal(sent, 100_000);
});

Deno.test("Http2Connection applies a smaller initial window to open streams, below zero too (RFC 9113 §6.9.2)", () => {
  const bench = new Bench({}, [[SettingId.INITIAL_WINDOW_SIZE, 100]]);
  bench.events(bench.client.headers(1, REQUEST, { endStream: true }));
  bench.server.data(1, new Uint8Array(80));
  bench.events(bench.client.settings([[SettingId.INITIAL_WINDOW_SIZE, 50]]));
  bench.server.data(1, new Uint8Array(10));
  bench.output();
  assert.equal(bench.server.queuedBytes(1), 10);
  bench.events(bench.client.windowUpdate(1, 30));
  assert.equal(bench.server.queuedBytes(1), 10, "the window is at 0 now");
  bench.events(bench.client.windowUpdate(1, 10));
  assert.equal(bench.server.queuedBytes(1), 0);
});

Deno.test("Http2Connection.consume opens windows in steps, and none opens by itself (RFC 9113 §6.9.1)", () => {
  const bench = new Bench({ streamWindowBytes: 30_000, connectionWindowBytes: 65_535 });
  bench.events(bench.client.headers(1, REQUEST), bench.client.data(1, new Uint8Array(16_000)));
  assert.deepEqual(bench.output(), []);
  bench.server.consume(1, 10_000);
  assert.deepEqual(bench.output(), []);
  bench.server.consume(1, 6_000);
  assert.deepEqual(bench.output(), ["WINDOW_UPDATE 1 16000"]);
  assert.deepEqual(bench.events(bench.client.data(1, new Uint8Array(16_000))), ["data 1 16000"]);
  assert.deepEqual(bench.events(bench.client.data(1, new Uint8Array(14_001))), [
    `reset 1 ${ErrorCode.FLOW_CONTROL_ERROR} by us`,
  ]);
});

Deno.test("Http2Connection takes padding out of the data and gives its window back (RFC 9113 §6.1)", () => {
  const bench = new Bench({ streamWindowBytes: 300, connectionWindowBytes: 65_535 });
  bench.events(bench.client.headers(1, REQUEST));
  const padded = [200, 1, 2, 3, ...new Uint8Array(200)];
  assert.deepEqual(bench.events(bench.client.frame(FrameType.DATA, Flag.PADDED, 1, padded)), ["data 1 3"]);
  assert.deepEqual(bench.output(), ["WINDOW_UPDATE 1 201"]);
});

Deno.test("Http2Connection asks the client to stop when the answer is complete (RFC 9113 §8.1)", () => {
  const bench = new Bench();
  bench.events(bench.client.headers(1, REQUEST));
  bench.server.respond(1, [{ name: ":status", value: "200" }], true);
  assert.deepEqual(bench.output(), [
    "HEADERS 1 END_STREAM :status=200",
    `RST_STREAM 1 ${ErrorCode.NO_ERROR}`,
  ]);
  assert.deepEqual(bench.events(bench.client.data(1, [1])), [], "what crossed it is ignored");
});

Deno.test("Http2Connection refuses a stream over the announced number (RFC 9113 §5.1.2)", () => {
  const bench = new Bench({ maxConcurrentStreams: 1 });
  assert.deepEqual(bench.events(bench.client.headers(1, REQUEST), bench.client.headers(3, REQUEST)), [
    "headers 1",
  ]);
  assert.deepEqual(bench.output(), [`RST_STREAM 3 ${ErrorCode.REFUSED_STREAM}`]);
  bench.events(bench.client.rstStream(1, 8));
  assert.deepEqual(bench.events(bench.client.headers(5, REQUEST)), ["headers 5"]);
});

Deno.test("Http2Connection answers PING and SETTINGS, and ignores unknown frames and settings (RFC 9113 §5.5)", () => {
  const bench = new Bench();
  bench.events(
    bench.client.ping(),
    bench.client.settings([[0x99, 1]]),
    bench.client.frame(0xee, 0xff, 7, [1, 2]),
  );
  assert.deepEqual(bench.output(), ["PING 0 ACK", "SETTINGS 0 ACK"]);
  assert.deepEqual(bench.events(bench.client.ping(true)), ["pong"]);
});

/** What a peer may do only so often: the frames of one time, and the limit that counts them. */
const FLOODS: Readonly<Record<string, [keyof Http2Limits, (f: FrameFactory, round: number) => Uint8Array]>> =
  {
    "rapid reset (CVE-2023-44487)": [
      "resets",
      (f, round) => concat(f.headers(1 + 2 * round, REQUEST), f.rstStream(1 + 2 * round, 8)),
    ],
    "resets that we are made to send (CVE-2025-8671)": [
      "resets",
      (f, round) => concat(f.headers(1 + 2 * round, REQUEST), f.windowUpdate(1 + 2 * round, 0)),
    ],
    "PING (CVE-2019-9512)": ["pings", (f) => f.ping()],
    "SETTINGS (CVE-2019-9515)": ["settings", (f) => f.settings()],
    "empty DATA (CVE-2019-9518)": [
      "idleFrames",
      (f, round) => round === 0 ? concat(f.headers(1, REQUEST), f.data(1, [])) : f.data(1, []),
    ],
    "PRIORITY (CVE-2019-9513)": ["idleFrames", (f) => f.frame(FrameType.PRIORITY, 0, 1, [0, 0, 0, 3, 1])],
    "unknown frames": ["idleFrames", (f) => f.frame(0x99, 0, 0, [])],
  };

for (const [what, [limit, frames]] of Object.entries(FLOODS)) {
  Deno.test(`Http2Connection ends a flood of ${what}, and only a flood`, () => {
    const bench = new Bench({ [limit]: { burst: 10, perSecond: 5 } });
    // The SETTINGS of the handshake have taken one of that bucket.
    const burst = limit === "settings" ? 9 : 10;
    let round = 0;
    const once = () => {
      const events = bench.events(frames(bench.client, round++));
      bench.output();
      return events.at(-1);
    };
    const ended = `failed ${ErrorCode.ENHANCE_YOUR_CALM}`;
    for (let i = 0; i < burst; i++) assert.notEqual(once(), ended, `round ${i} of the burst`);
    for (let second = 1; second <= 50; second++) {
      bench.nowMs = second * 1_000;
      for (let i = 0; i < 5; i++) assert.notEqual(once(), ended, `second ${second}: the rate is kept`);
    }
    assert.equal(once(), ended, "one more in the same second");
  });
}

Deno.test("Http2Connection bounds a header block in bytes and in CONTINUATION frames (CVE-2024-27316)", () => {
  for (const piece of [new Uint8Array(0), new Uint8Array(10_000)]) {
    const bench = new Bench();
    let events = bench.events(bench.client.headers(1, REQUEST, { endHeaders: false }));
    let frames = 0;
    while (events.length === 0 && frames < 100) {
      events = bench.events(bench.client.frame(FrameType.CONTINUATION, 0, 1, piece));
      frames++;
    }
    assert.deepEqual(events, [`failed ${ErrorCode.ENHANCE_YOUR_CALM}`]);
    assert.ok(frames <= 9, `${frames} frames`);
  }
});

Deno.test("Http2Connection bounds the number of header fields, however small (CVE-2026-49975)", () => {
  const bench = new Bench();
  const many = Array.from({ length: 200 }, () => ({ name: "a", value: "b" }));
  const fields = Object.entries(REQUEST).map(([name, value]) => ({ name, value }));
  const block = bench.client.block([...fields, ...many]);
  bench.events(bench.client.frame(FrameType.HEADERS, Flag.END_HEADERS, 1, block));
  assert.deepEqual(bench.output(), [`RST_STREAM 1 ${ErrorCode.ENHANCE_YOUR_CALM}`]);
});

Deno.test("Http2Connection ends a peer that never reads its answers", () => {
  const bench = new Bench({ maxOutputBytes: 1_000, pings: { burst: 1_000, perSecond: 0 } });
  let events: string[] = [];
  for (let i = 0; i < 200 && events.length === 0; i++) events = bench.events(bench.client.ping());
  assert.deepEqual(events, [`failed ${ErrorCode.ENHANCE_YOUR_CALM}`]);
});

Deno.test("Http2Connection.goaway lets open streams finish and ignores later ones (RFC 9113 §6.8)", () => {
  const bench = new Bench();
  bench.events(bench.client.headers(1, REQUEST));
  bench.server.goaway(ErrorCode.NO_ERROR, "bye");
  assert.deepEqual(bench.output(), [`GOAWAY 0 ${ErrorCode.NO_ERROR}`]);
  assert.deepEqual(bench.events(bench.client.headers(3, REQUEST), bench.client.data(1, [1], true)), [
    "data 1 1 end",
  ]);
  bench.server.respond(1, [{ name: ":status", value: "200" }], true);
  assert.deepEqual(bench.output(), ["HEADERS 1 END_STREAM :status=200"]);
});

Deno.test("Http2Connection ignores every frame of a stream that crossed its GOAWAY, and names no higher one after (RFC 9113 §6.8)", () => {
  const bench = new Bench({ connectionWindowBytes: 65_535 });
  bench.events(bench.client.headers(1, REQUEST));
  bench.server.goaway(ErrorCode.NO_ERROR);
  bench.output();
  const late = [
    bench.client.headers(3, REQUEST),
    bench.client.data(3, new Uint8Array(16_000)),
    bench.client.data(3, new Uint8Array(16_000)),
    bench.client.data(3, new Uint8Array(16_000), true),
    bench.client.windowUpdate(3, 10),
    bench.client.headers(5, { ...REQUEST, "x-late": "y" }, { endStream: true }),
    bench.client.rstStream(5, 8),
  ];
  assert.deepEqual(bench.events(...late), []);
  assert.deepEqual(bench.output(), ["WINDOW_UPDATE 0 48000"], "the connection's window is given back");
  assert.deepEqual(
    bench.events(bench.client.data(1, [1], true)),
    ["data 1 1 end"],
    "the stream before it goes on",
  );
  bench.server.fail(ErrorCode.INTERNAL_ERROR, "x");
  const taken = bench.server.takeOutput();
  const last = taken.subarray(-"INTERNAL_ERROR: x".length - 8);
  assert.equal(new DataView(last.buffer, last.byteOffset).getUint32(0), 1, "the last stream is still 1");
});

Deno.test("Http2Connection tells after its GOAWAY when the last answer has left its queue", () => {
  const bench = new Bench({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.client.headers(1, REQUEST, { endStream: true }));
  bench.server.respond(1, [{ name: ":status", value: "200" }]);
  bench.server.data(1, new Uint8Array(20));
  bench.server.end(1, [{ name: "grpc-status", value: "0" }]);
  bench.server.goaway(ErrorCode.NO_ERROR);
  bench.output();
  assert.equal(bench.server.openStreams, 1);
  assert.deepEqual(bench.events(bench.client.windowUpdate(1, 10)), ["idle"]);
  assert.deepEqual(bench.output(), ["DATA 1 10", "HEADERS 1 END_STREAM grpc-status=0"]);
});

Deno.test("Http2Connection drops the queue of a stream that ends, also where no window ever opens", () => {
  const bench = new Bench({}, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  for (let id = 1; id < 200; id += 2) {
    bench.events(bench.client.headers(id, REQUEST, { endStream: true }));
    bench.server.data(id, new Uint8Array(100_000));
    bench.events(bench.client.rstStream(id, 8));
  }
  assert.equal(bench.server.openStreams, 0);
  assert.equal(bench.server.allQueuedBytes, 0);
});

Deno.test("Http2Connection.endNow sends trailers before what a shut window holds back", () => {
  const bench = new Bench({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.client.headers(1, REQUEST, { endStream: true }));
  bench.server.respond(1, [{ name: ":status", value: "200" }]);
  bench.server.data(1, new Uint8Array(1_000));
  bench.server.endNow(1, [{ name: "grpc-status", value: "4" }]);
  assert.deepEqual(bench.output(), [
    "HEADERS 1 :status=200",
    "DATA 1 10",
    "HEADERS 1 END_STREAM grpc-status=4",
  ]);
  assert.equal(bench.server.openStreams, 0);
  assert.equal(bench.server.allQueuedBytes, 0);
});

Deno.test("Http2Connection takes a PING after each answer for no flood: peers measure their bandwidth so", () => {
  const bench = new Bench({ pings: { burst: 2, perSecond: 0 } }, [[
    SettingId.INITIAL_WINDOW_SIZE,
    1_000_000,
  ]]);
  bench.events(bench.client.headers(1, REQUEST, { endStream: true }));
  bench.server.respond(1, [{ name: ":status", value: "200" }]);
  for (let i = 0; i < 1_000; i++) {
    bench.server.data(1, new Uint8Array(10));
    assert.deepEqual(bench.events(bench.client.ping()), []);
    bench.output();
  }
  assert.deepEqual(bench.events(bench.client.ping(), bench.client.ping()), []);
  assert.deepEqual(bench.events(bench.client.ping()), [`failed ${ErrorCode.ENHANCE_YOUR_CALM}`]);
});

Deno.test("Http2Connection as a client keeps no stream for a request that can't be encoded", () => {
  const { client } = clientBench();
  assert.throws(() => client.request([{ name: ":path", value: "/\u2603" }], true), RangeError);
  assert.equal(client.openStreams, 1);
  client.request(Object.entries(REQUEST).map(([name, value]) => ({ name, value })), true);
});

Deno.test("Http2Connection needs the preface and then SETTINGS (RFC 9113 §3.4)", () => {
  const start = () => new Http2Connection("server", DEFAULT_HTTP2_LIMITS);
  const garbage = start().receive(new TextEncoder().encode("\x16\x03\x01 no HTTP/2 at all"), 0);
  assert.deepEqual(garbage.map(eventLine), [`failed ${ErrorCode.PROTOCOL_ERROR}`]);
  const f = new FrameFactory();
  const noSettings = start().receive(concat(f.hello().subarray(0, 24), f.ping()), 0);
  assert.deepEqual(noSettings.map(eventLine), [`failed ${ErrorCode.PROTOCOL_ERROR}`]);
});

Deno.test("Http2Connection answers HTTP/1.1 in its own words", () => {
  const server = new Http2Connection("server", DEFAULT_HTTP2_LIMITS);
  const events = server.receive(new TextEncoder().encode("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), 0);
  assert.deepEqual(events.map(eventLine), [`failed ${ErrorCode.PROTOCOL_ERROR}`]);
  const answer = new TextDecoder().decode(server.takeOutput());
  assert.match(answer, /^HTTP\/1\.1 505 /);
  assert.match(answer, /gRPC/);
});

/** A client connection that has opened stream 1, and the frames of a server. */
function clientBench(): {
  client: Http2Connection;
  server: FrameFactory;
  events(...p: Uint8Array[]): string[];
} {
  const client = new Http2Connection("client", DEFAULT_HTTP2_LIMITS);
  const server = new FrameFactory();
  client.receive(server.settings([[SettingId.MAX_CONCURRENT_STREAMS, 2]]), 0);
  client.request(Object.entries(REQUEST).map(([name, value]) => ({ name, value })), true);
  return { client, server, events: (...pieces) => client.receive(concat(...pieces), 0).map(eventLine) };
}

Deno.test("Http2Connection as a client passes over informational responses (RFC 9113 §8.1)", () => {
  const { server, events } = clientBench();
  assert.deepEqual(
    events(
      server.headers(1, { ":status": "103" }),
      server.headers(1, { ":status": "200" }),
      server.data(1, [1]),
      server.headers(1, { "grpc-status": "0" }, { endStream: true }),
    ),
    ["headers 1", "data 1 1", "trailers 1"],
  );
});

Deno.test("Http2Connection as a client opens as many streams as the server allows", () => {
  const { client, server, events } = clientBench();
  client.request(Object.entries(REQUEST).map(([name, value]) => ({ name, value })), true);
  assert.equal(client.canOpenStream, false);
  assert.throws(() => client.request([], true), /takes no more/);
  assert.deepEqual(events(server.headers(1, { ":status": "200" }, { endStream: true })), [
    "headers 1 end",
    "capacity",
  ]);
  assert.equal(client.canOpenStream, true);
});

Deno.test("Http2Connection as a client tells which streams a GOAWAY never looked at (RFC 9113 §6.8)", () => {
  const { client, server, events } = clientBench();
  client.request(Object.entries(REQUEST).map(([name, value]) => ({ name, value })), true);
  assert.deepEqual(events(server.goaway(1, 0)), [
    "capacity",
    `reset 3 ${ErrorCode.REFUSED_STREAM} by peer`,
    "goaway 1 0",
  ]);
  assert.equal(client.canOpenStream, false);
  assert.deepEqual(events(server.headers(1, { ":status": "200" }, { endStream: true })), ["headers 1 end"]);
});

Deno.test("Http2Connection as a client refuses pushes and DATA before headers (RFC 9113 §8.4, §8.1)", () => {
  const pushed = clientBench();
  assert.deepEqual(
    pushed.events(pushed.server.frame(FrameType.PUSH_PROMISE, Flag.END_HEADERS, 1, uint32(2))),
    [
      `failed ${ErrorCode.PROTOCOL_ERROR}`,
    ],
  );
  const early = clientBench();
  assert.deepEqual(early.events(early.server.data(1, [1])), [`reset 1 ${ErrorCode.PROTOCOL_ERROR} by us`]);
});
