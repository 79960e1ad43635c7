import assert from "node:assert/strict";
import { ErrorCode } from "./error_code.ts";
import { Flag, FrameType } from "./frame/frame_type.ts";
import type { Http2Limits } from "./limits.ts";
import { SettingId } from "./settings.ts";
import { Bench, eventLine, fieldList } from "./testing/bench.ts";
import { ANSWER, concat, type FrameFactory, REQUEST } from "./testing/frame_factory.ts";
import { assertSameHoweverCut } from "./testing/violation.ts";

Deno.test("Http2Connection tells a request and its body, and sends an answer with trailers", () => {
  const bench = Bench.server();
  assert.deepEqual(
    bench.events(
      bench.peer.headers(1, REQUEST),
      bench.peer.data(1, [1, 2, 3]),
      bench.peer.data(1, [4], true),
    ),
    ["headers 1", "data 1 3", "data 1 1 end"],
  );
  bench.connection.respond(1, [{ name: ":status", value: "200" }]);
  bench.connection.data(1, new Uint8Array(2));
  bench.connection.data(1, new Uint8Array(3));
  bench.connection.end(1, [{ name: "grpc-status", value: "0" }]);
  assert.deepEqual(bench.output(), [
    "HEADERS 1 :status=200",
    "DATA 1 5",
    "HEADERS 1 END_STREAM grpc-status=0",
  ]);
  assert.equal(bench.connection.openStreams, 0);
});

Deno.test("Http2Connection reads the same whole, cut at every byte, and byte by byte", () => {
  const { outcome } = assertSameHoweverCut(() => Bench.silent("server"), (f) =>
    concat(
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
    ));
  assert.deepEqual(outcome.events.map(eventLine), [
    "capacity",
    "headers 1",
    "data 1 40",
    "headers 3",
    "data 1 0 end",
    "reset 3 8 by peer",
  ]);
});

Deno.test("Http2Connection.data waits for the stream's window and tells when it has drained (RFC 9113 §6.9)", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.peer.headers(1, REQUEST, { endStream: true }));
  bench.connection.respond(1, [{ name: ":status", value: "200" }]);
  bench.connection.data(1, new Uint8Array(25));
  assert.equal(bench.connection.queuedBytes(1), 15);
  assert.deepEqual(bench.output(), ["HEADERS 1 :status=200", "DATA 1 10"]);
  assert.deepEqual(bench.events(bench.peer.windowUpdate(1, 10)), []);
  assert.deepEqual(bench.events(bench.peer.windowUpdate(1, 10)), ["drained 1"]);
  assert.deepEqual(bench.output(), ["DATA 1 15"]);
});

Deno.test("Http2Connection.end sends trailers after what waits for the window", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.peer.headers(1, REQUEST, { endStream: true }));
  bench.connection.respond(1, [{ name: ":status", value: "200" }]);
  bench.connection.data(1, new Uint8Array(15));
  bench.connection.end(1, [{ name: "grpc-status", value: "0" }]);
  assert.deepEqual(bench.output(), ["HEADERS 1 :status=200", "DATA 1 10"]);
  bench.events(bench.peer.windowUpdate(1, 5));
  assert.deepEqual(bench.output(), ["DATA 1 5", "HEADERS 1 END_STREAM grpc-status=0"]);
});

Deno.test("Http2Connection shares the connection's window between streams in turns (RFC 9113 §5.2)", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  bench.events(
    bench.peer.headers(1, REQUEST, { endStream: true }),
    bench.peer.headers(3, REQUEST, { endStream: true }),
  );
  bench.connection.data(1, new Uint8Array(100_000));
  bench.connection.data(3, new Uint8Array(100_000));
  assert.deepEqual(bench.output(), ["DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383"]);
  bench.events(bench.peer.windowUpdate(0, 4 * 16_384));
  assert.deepEqual(bench.output(), ["DATA 1 16384", "DATA 3 16384", "DATA 1 16384", "DATA 3 16384"]);
});

Deno.test("Http2Connection keeps data in the streams while the output waits for the socket", () => {
  const bench = Bench.server({ maxWaitingOutputBytes: 20_000 }, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  bench.events(
    bench.peer.headers(1, REQUEST, { endStream: true }),
    bench.peer.windowUpdate(0, 1_000_000),
  );
  bench.connection.data(1, new Uint8Array(100_000));
  assert.ok(bench.connection.outputBytes < 40_000, `${bench.connection.outputBytes} bytes wait`);
  let sent = 0;
  while (bench.connection.outputBytes > 0) {
    for (const line of bench.output()) sent += Number(line.split(" ")[2]);
  }
  assert.equal(sent, 100_000);
});

Deno.test("Http2Connection applies a smaller initial window to open streams, below zero too (RFC 9113 §6.9.2)", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 100]]);
  bench.events(bench.peer.headers(1, REQUEST, { endStream: true }));
  bench.connection.data(1, new Uint8Array(80));
  bench.events(bench.peer.settings([[SettingId.INITIAL_WINDOW_SIZE, 50]]));
  bench.connection.data(1, new Uint8Array(10));
  bench.output();
  assert.equal(bench.connection.queuedBytes(1), 10);
  bench.events(bench.peer.windowUpdate(1, 30));
  assert.equal(bench.connection.queuedBytes(1), 10, "the window is at 0 now");
  bench.events(bench.peer.windowUpdate(1, 10));
  assert.equal(bench.connection.queuedBytes(1), 0);
});

Deno.test("Http2Connection.consume opens windows in steps, and none opens by itself (RFC 9113 §6.9.1)", () => {
  const bench = Bench.server({ streamWindowBytes: 30_000, connectionWindowBytes: 65_535 });
  bench.events(bench.peer.settingsAck());
  bench.events(bench.peer.headers(1, REQUEST), bench.peer.data(1, new Uint8Array(16_000)));
  assert.deepEqual(bench.output(), []);
  bench.connection.consume(1, 10_000);
  assert.deepEqual(bench.output(), []);
  bench.connection.consume(1, 6_000);
  assert.deepEqual(bench.output(), ["WINDOW_UPDATE 1 16000"]);
  assert.deepEqual(bench.events(bench.peer.data(1, new Uint8Array(16_000))), ["data 1 16000"]);
  assert.deepEqual(bench.events(bench.peer.data(1, new Uint8Array(14_001))), [
    `reset 1 ${ErrorCode.FLOW_CONTROL_ERROR} by us`,
  ]);
});

Deno.test("Http2Connection takes padding out of the data and gives its window back (RFC 9113 §6.1)", () => {
  const bench = Bench.server({ streamWindowBytes: 300, connectionWindowBytes: 65_535 });
  bench.events(bench.peer.headers(1, REQUEST));
  const padded = [200, 1, 2, 3, ...new Uint8Array(200)];
  assert.deepEqual(bench.events(bench.peer.frame(FrameType.DATA, Flag.PADDED, 1, padded)), ["data 1 3"]);
  assert.deepEqual(bench.output(), ["WINDOW_UPDATE 1 201"]);
});

Deno.test("Http2Connection asks the client to stop when the answer is complete (RFC 9113 §8.1)", () => {
  const bench = Bench.server();
  bench.events(bench.peer.headers(1, REQUEST));
  bench.connection.respond(1, [{ name: ":status", value: "200" }], true);
  assert.deepEqual(bench.output(), [
    "HEADERS 1 END_STREAM :status=200",
    `RST_STREAM 1 ${ErrorCode.NO_ERROR}`,
  ]);
  assert.deepEqual(bench.events(bench.peer.data(1, [1])), [], "what crossed it is ignored");
});

Deno.test("Http2Connection refuses a stream over the announced number (RFC 9113 §5.1.2)", () => {
  const bench = Bench.server({ maxConcurrentStreams: 1 });
  assert.deepEqual(bench.events(bench.peer.headers(1, REQUEST), bench.peer.headers(3, REQUEST)), [
    "headers 1",
  ]);
  assert.deepEqual(bench.output(), [`RST_STREAM 3 ${ErrorCode.REFUSED_STREAM}`]);
  bench.events(bench.peer.rstStream(1, 8));
  assert.deepEqual(bench.events(bench.peer.headers(5, REQUEST)), ["headers 5"]);
});

Deno.test("Http2Connection answers PING and SETTINGS, and ignores unknown frames and settings (RFC 9113 §5.5)", () => {
  const bench = Bench.server();
  bench.events(
    bench.peer.ping(),
    bench.peer.settings([[0x99, 1]]),
    bench.peer.frame(0xee, 0xff, 7, [1, 2]),
  );
  assert.deepEqual(bench.output(), ["PING 0 ACK", "SETTINGS 0 ACK"]);
  assert.deepEqual(bench.events(bench.peer.ping(true)), ["pong"]);
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
    "WINDOW_UPDATE that nothing explains": ["idleFrames", (f, round) => f.windowUpdate(0, 1 + round)],
    "WINDOW_UPDATE by a byte (CVE-2019-9511)": [
      "idleFrames",
      (f, round) => concat(round === 0 ? f.headers(1, REQUEST) : [], f.windowUpdate(1, 1)),
    ],
    "HEADERS on a stream that we reset": [
      "idleFrames",
      (f, round) => {
        const trailers = f.headers(1, { "x-trailer": "1" }, { endStream: true });
        return round === 0 ? concat(f.headers(1, { ...REQUEST, ":path": "" }), trailers) : trailers;
      },
    ],
    "unknown frames": ["idleFrames", (f) => f.frame(0x99, 0, 0, [])],
  };

for (const [what, [limit, frames]] of Object.entries(FLOODS)) {
  Deno.test(`Http2Connection ends a flood of ${what}, and only a flood`, () => {
    const bench = Bench.server({ [limit]: { burst: 10, perSecond: 5 } });
    // The SETTINGS of the handshake have taken one of that bucket.
    const burst = limit === "settings" ? 9 : 10;
    let round = 0;
    const once = () => {
      const events = bench.events(frames(bench.peer, round++));
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

Deno.test("Http2Connection counts DATA that carries something, or ends a stream, for no flood", () => {
  const bench = Bench.server({ idleFrames: { burst: 1, perSecond: 0 } });
  for (let id = 1; id < 20; id += 2) {
    const events = bench.events(
      bench.peer.headers(id, REQUEST),
      bench.peer.data(id, [1]),
      bench.peer.data(id, [2]),
      bench.peer.data(id, [], true),
    );
    assert.deepEqual(events, [`headers ${id}`, `data ${id} 1`, `data ${id} 1`, `data ${id} 0 end`]);
  }
});

Deno.test("Http2Connection ends a flood of DATA of one byte (RFC 9113 §10.5), and takes small messages for ever", () => {
  const tinyData = { burst: 10, perSecond: 5 };
  const flooded = Bench.server({ tinyData });
  flooded.open();
  let frames = 0;
  const once = () => {
    const [event] = flooded.events(flooded.peer.data(1, [0]));
    flooded.connection.consume(1, 1);
    flooded.output();
    frames++;
    return event;
  };
  while (once() === "data 1 1") assert.ok(frames < 100);
  // Each lacks two bytes.
  assert.equal(frames, 6);

  const honest = Bench.server({ tinyData });
  honest.open();
  for (let message = 0; message < 1_000; message++) {
    // A message of one byte whose prefix has a frame of its own.
    const events = honest.events(honest.peer.data(1, [0, 0, 0, 0, 1]), honest.peer.data(1, [7]));
    assert.deepEqual(events, ["data 1 5", "data 1 1"]);
    honest.connection.consume(1, 6);
    honest.output();
  }
});

Deno.test("Http2Connection takes ten WINDOW_UPDATE for every frame that it sent", () => {
  const bench = Bench.server({ idleFrames: { burst: 1, perSecond: 0 } });
  bench.open();
  bench.connection.respond(1, fieldList(ANSWER));
  for (let round = 0; round < 100; round++) {
    bench.connection.data(1, new Uint8Array(100));
    bench.output();
    for (let i = 0; i < 10; i++) assert.deepEqual(bench.events(bench.peer.windowUpdate(i % 2, 50)), []);
  }
});

Deno.test("Http2Connection bounds the header lists of all open streams together (CVE-2026-49975)", () => {
  const bench = Bench.server({ maxOpenHeaderListBytes: 1_000 });
  const listBytes = fieldList(REQUEST).reduce(
    (sum, { name, value }) => sum + name.length + value.length + 32,
    0,
  );
  const fit = Math.floor(1_000 / listBytes);
  for (let i = 0; i < fit; i++) {
    bench.open();
    assert.deepEqual(bench.output(), []);
  }
  const refused = bench.open();
  assert.deepEqual(bench.output(), [`RST_STREAM ${refused} ${ErrorCode.REFUSED_STREAM}`]);
  // The list of a stream counts as long as it is open.
  bench.events(bench.peer.rstStream(1, ErrorCode.CANCEL));
  const taken = bench.open();
  assert.deepEqual(bench.output(), []);
  assert.deepEqual(bench.events(bench.peer.data(taken, [1])), [`data ${taken} 1`]);
});

Deno.test("Http2Connection.findStalled tells of queues that do not move, and of nothing else", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  const [stuck, slow, empty] = [bench.open(), bench.open(), bench.open()];
  for (const id of [stuck, slow, empty]) {
    bench.connection.respond(id, fieldList(ANSWER));
    bench.connection.data(id, new Uint8Array(id === empty ? 10 : 100));
  }
  const look = (nowMs: number) => bench.connection.findStalled(nowMs, 100).map(eventLine);
  assert.deepEqual(look(1_000), []);
  assert.deepEqual(look(1_099), []);
  bench.events(bench.peer.windowUpdate(slow, 1));
  assert.deepEqual(look(1_100), [`stalled ${stuck}`]);
  assert.deepEqual(look(1_199), [`stalled ${stuck}`]);
  bench.events(bench.peer.windowUpdate(stuck, 1));
  assert.deepEqual(look(1_200), [`stalled ${slow}`]);
  bench.connection.end(slow, [{ name: "grpc-status", value: "0" }]);
  bench.output();
  // The status that waits behind the queue gives way to another.
  bench.connection.endNow(slow, [{ name: "grpc-status", value: "14" }]);
  assert.deepEqual(bench.output(), [
    `HEADERS ${slow} END_STREAM grpc-status=14`,
    `RST_STREAM ${slow} ${ErrorCode.NO_ERROR}`,
  ]);
  assert.deepEqual(look(1_299), []);
});

Deno.test("Http2Connection as a client lets a server reset every stream: there are only those that it opened", () => {
  const bench = Bench.client({ resets: { burst: 1, perSecond: 0 } });
  for (let i = 0; i < 20; i++) {
    const id = bench.open();
    assert.deepEqual(bench.events(bench.peer.rstStream(id, 8)), [`reset ${id} 8 by peer`]);
  }
});

Deno.test("Http2Connection bounds a header block in bytes and in CONTINUATION frames (CVE-2024-27316)", () => {
  const cases = [[new Uint8Array(0), 9], [new Uint8Array(10_000), 4]] as const;
  for (const [piece, endsAfter] of cases) {
    const bench = Bench.server();
    let events = bench.events(bench.peer.headers(1, REQUEST, { endHeaders: false }));
    let frames = 0;
    while (events.length === 0 && frames < 100) {
      events = bench.events(bench.peer.frame(FrameType.CONTINUATION, 0, 1, piece));
      frames++;
    }
    assert.deepEqual(events, [`failed ${ErrorCode.ENHANCE_YOUR_CALM}`]);
    assert.equal(frames, endsAfter);
  }
});

Deno.test("Http2Connection bounds the number of header fields, however small (CVE-2026-49975)", () => {
  const bench = Bench.server();
  const many = Array.from({ length: 200 }, () => ({ name: "a", value: "b" }));
  const fields = Object.entries(REQUEST).map(([name, value]) => ({ name, value }));
  const block = bench.peer.block([...fields, ...many]);
  bench.events(bench.peer.frame(FrameType.HEADERS, Flag.END_HEADERS, 1, block));
  assert.deepEqual(bench.output(), [`RST_STREAM 1 ${ErrorCode.ENHANCE_YOUR_CALM}`]);
});

Deno.test("Http2Connection resets a stream for a header list over the limit, and ends for one four times as large (CVE-2016-6581)", () => {
  const bench = Bench.server({ maxHeaderListBytes: 1_000 });
  const list = (valueBytes: number) =>
    bench.peer.headers(1, { ...REQUEST, "x-large": "a".repeat(valueBytes) });
  assert.deepEqual(bench.events(list(2_000)), ["reset 1 11 by us"]);
  assert.deepEqual(bench.output(), [`RST_STREAM 1 ${ErrorCode.ENHANCE_YOUR_CALM}`]);
  assert.deepEqual(bench.events(list(4_000)), [`failed ${ErrorCode.ENHANCE_YOUR_CALM}`]);
});

Deno.test("Http2Connection ends a peer that never reads its answers", () => {
  const bench = Bench.server({ maxOutputBytes: 1_000, pings: { burst: 1_000, perSecond: 0 } });
  let events: string[] = [];
  for (let i = 0; i < 200 && events.length === 0; i++) events = bench.events(bench.peer.ping());
  assert.deepEqual(events, [`failed ${ErrorCode.ENHANCE_YOUR_CALM}`]);
});

Deno.test("Http2Connection.goaway lets open streams finish and ignores later ones (RFC 9113 §6.8)", () => {
  const bench = Bench.server();
  bench.events(bench.peer.headers(1, REQUEST));
  bench.connection.goaway(ErrorCode.NO_ERROR, "bye");
  assert.deepEqual(bench.output(), [`GOAWAY 0 ${ErrorCode.NO_ERROR}`]);
  assert.deepEqual(bench.events(bench.peer.headers(3, REQUEST), bench.peer.data(1, [1], true)), [
    "data 1 1 end",
  ]);
  bench.connection.respond(1, [{ name: ":status", value: "200" }], true);
  assert.deepEqual(bench.output(), ["HEADERS 1 END_STREAM :status=200"]);
});

Deno.test("Http2Connection ignores every frame of a stream that crossed its GOAWAY, and names no higher one after (RFC 9113 §6.8)", () => {
  const bench = Bench.server({ connectionWindowBytes: 65_535 });
  bench.events(bench.peer.headers(1, REQUEST));
  bench.connection.goaway(ErrorCode.NO_ERROR);
  bench.output();
  const late = [
    bench.peer.headers(3, REQUEST),
    bench.peer.data(3, new Uint8Array(16_000)),
    bench.peer.data(3, new Uint8Array(16_000)),
    bench.peer.data(3, new Uint8Array(16_000), true),
    bench.peer.windowUpdate(3, 10),
    bench.peer.headers(5, { ...REQUEST, "x-late": "y" }, { endStream: true }),
    bench.peer.rstStream(5, 8),
  ];
  assert.deepEqual(bench.events(...late), []);
  assert.deepEqual(bench.output(), ["WINDOW_UPDATE 0 48000"], "the connection's window is given back");
  assert.deepEqual(
    bench.events(bench.peer.data(1, [1], true)),
    ["data 1 1 end"],
    "the stream before it goes on",
  );
  bench.connection.fail(ErrorCode.INTERNAL_ERROR, "x");
  const taken = bench.connection.takeOutput();
  const last = taken.subarray(-"INTERNAL_ERROR: x".length - 8);
  assert.equal(new DataView(last.buffer, last.byteOffset).getUint32(0), 1, "the last stream is still 1");
});

Deno.test("Http2Connection tells after its GOAWAY when the last answer has left its queue", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.peer.headers(1, REQUEST, { endStream: true }));
  bench.connection.respond(1, [{ name: ":status", value: "200" }]);
  bench.connection.data(1, new Uint8Array(20));
  bench.connection.end(1, [{ name: "grpc-status", value: "0" }]);
  bench.connection.goaway(ErrorCode.NO_ERROR);
  bench.output();
  assert.equal(bench.connection.openStreams, 1);
  assert.deepEqual(bench.events(bench.peer.windowUpdate(1, 10)), ["idle"]);
  assert.deepEqual(bench.output(), ["DATA 1 10", "HEADERS 1 END_STREAM grpc-status=0"]);
});

Deno.test("Http2Connection does nothing for a stream that is gone, whatever it is asked (RFC 9113 §5.1)", () => {
  const bench = Bench.server();
  bench.open();
  bench.events(bench.peer.rstStream(1, 8));
  bench.connection.respond(1, fieldList(ANSWER));
  bench.connection.data(1, new Uint8Array(10));
  bench.connection.end(1);
  bench.connection.endNow(1, []);
  bench.connection.reset(1, ErrorCode.CANCEL);
  assert.deepEqual(bench.output(), []);
});

Deno.test("Http2Connection refuses to write to a stream that its user has ended", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 1]]);
  bench.open();
  bench.connection.data(1, new Uint8Array(2));
  bench.connection.end(1);
  assert.throws(() => bench.connection.data(1, new Uint8Array(1)), /stream 1: it was ended/);
  const client = Bench.client();
  client.open(true);
  assert.throws(() => client.connection.end(1), /stream 1: it was ended/);
});

Deno.test("Http2Connection says goodbye once, and fails once (RFC 9113 §6.8)", () => {
  const bench = Bench.server();
  bench.connection.goaway(ErrorCode.NO_ERROR);
  bench.connection.goaway(ErrorCode.NO_ERROR);
  assert.deepEqual(bench.output(), [`GOAWAY 0 ${ErrorCode.NO_ERROR}`]);
  const { length } = bench.connection.fail(ErrorCode.INTERNAL_ERROR, "first");
  assert.equal(length, 1);
  assert.deepEqual(bench.connection.fail(ErrorCode.INTERNAL_ERROR, "second"), []);
  bench.connection.goaway(ErrorCode.NO_ERROR);
  assert.deepEqual(bench.output(), [`GOAWAY 0 ${ErrorCode.INTERNAL_ERROR}`]);
});

Deno.test("Http2Connection drops the queue of a stream that ends, also where no window ever opens", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 1_000_000]]);
  for (let id = 1; id < 200; id += 2) {
    bench.events(bench.peer.headers(id, REQUEST, { endStream: true }));
    bench.connection.data(id, new Uint8Array(100_000));
    bench.events(bench.peer.rstStream(id, 8));
  }
  assert.equal(bench.connection.openStreams, 0);
  assert.equal(bench.connection.allQueuedBytes, 0);
});

Deno.test("Http2Connection.endNow sends trailers before what a shut window holds back", () => {
  const bench = Bench.server({}, [[SettingId.INITIAL_WINDOW_SIZE, 10]]);
  bench.events(bench.peer.headers(1, REQUEST, { endStream: true }));
  bench.connection.respond(1, [{ name: ":status", value: "200" }]);
  bench.connection.data(1, new Uint8Array(1_000));
  bench.connection.endNow(1, [{ name: "grpc-status", value: "4" }]);
  assert.deepEqual(bench.output(), [
    "HEADERS 1 :status=200",
    "DATA 1 10",
    "HEADERS 1 END_STREAM grpc-status=4",
  ]);
  assert.equal(bench.connection.openStreams, 0);
  assert.equal(bench.connection.allQueuedBytes, 0);
});

Deno.test("Http2Connection takes a PING after each answer for no flood: peers measure their bandwidth so", () => {
  const bench = Bench.server({ pings: { burst: 2, perSecond: 0 } }, [[
    SettingId.INITIAL_WINDOW_SIZE,
    1_000_000,
  ]]);
  bench.events(bench.peer.headers(1, REQUEST, { endStream: true }));
  bench.connection.respond(1, [{ name: ":status", value: "200" }]);
  for (let i = 0; i < 1_000; i++) {
    bench.connection.data(1, new Uint8Array(10));
    assert.deepEqual(bench.events(bench.peer.ping()), []);
    bench.output();
  }
  assert.deepEqual(bench.events(bench.peer.ping(), bench.peer.ping()), []);
  assert.deepEqual(bench.events(bench.peer.ping()), [`failed ${ErrorCode.ENHANCE_YOUR_CALM}`]);
});
