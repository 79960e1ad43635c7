import assert from "node:assert/strict";
import { ErrorCode } from "./error_code.ts";
import { Flag, FrameType } from "./frame/frame_type.ts";
import { PrefaceReader } from "./preface.ts";
import { Bench, eventLine } from "./testing/bench.ts";
import { concat, FrameFactory } from "./testing/frame_factory.ts";
import { assertConnectionError, assertSameHoweverCut, type Violation } from "./testing/violation.ts";

const text = (value: string) => Uint8Array.from(value, (char) => char.charCodeAt(0));

/** What may come first, and what it is. */
const BEGINNINGS: Readonly<Record<string, string>> = {
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n": "complete",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n": "incomplete",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\n\n": "garbage",
  "PRI * HTTP/1.1\r\n\r\n": "garbage",
  "GET / HTTP/1.1\r\n": "http/1",
  "PATCH /x HTTP/1.1\r\n": "http/1",
  "POST": "incomplete",
  "OPTIONS * HTTP/1.1\r\n": "http/1",
  "CONNECT host:1 HTTP/1.1\r\n": "http/1",
  "get / HTTP/1.1\r\n": "garbage",
  "GETX / HTTP/1.1\r\n": "garbage",
  "INVALID CONNECTION PREFACE\r\n\r\n": "garbage",
  "\x16\x03\x01\x02\x00\x01\x00": "garbage",
  "\x00": "garbage",
};

for (const [beginning, expected] of Object.entries(BEGINNINGS)) {
  Deno.test(`PrefaceReader takes ${JSON.stringify(beginning)} as ${expected}, however it is cut (RFC 9113 §3.4)`, () => {
    const whole = text(beginning);
    for (let cut = 0; cut <= whole.length; cut++) {
      const reader = new PrefaceReader();
      let { result } = reader.read(whole.subarray(0, cut));
      if (result === "incomplete") result = reader.read(whole.subarray(cut)).result;
      assert.equal(result, expected, `cut at ${cut}`);
    }
    const reader = new PrefaceReader();
    let result = "incomplete";
    for (let at = 0; at < whole.length && result === "incomplete"; at++) {
      result = reader.read(whole.subarray(at, at + 1)).result;
    }
    assert.equal(result, expected, "byte by byte");
  });
}

Deno.test("PrefaceReader leaves what follows the preface", () => {
  const bytes = concat(new FrameFactory().hello(), [1, 2, 3]);
  assert.deepEqual(new PrefaceReader().read(bytes), { used: 24, result: "complete" });
});

/** What may not come first after the preface of a client, and first of all from a server. */
const FIRST_FRAMES: Readonly<Record<string, Violation>> = {
  "PING": [ErrorCode.PROTOCOL_ERROR, (f) => f.ping()],
  "HEADERS": [ErrorCode.PROTOCOL_ERROR, (f) => f.headers(1, { ":status": "200" })],
  "an acknowledgement of SETTINGS": [ErrorCode.PROTOCOL_ERROR, (f) => f.settingsAck()],
  "SETTINGS on a stream": [ErrorCode.PROTOCOL_ERROR, (f) => f.frame(FrameType.SETTINGS, 0, 1)],
  "an unknown frame": [ErrorCode.PROTOCOL_ERROR, (f) => f.frame(0x77, 0, 0)],
};

for (const [what, [code, frames]] of Object.entries(FIRST_FRAMES)) {
  Deno.test(`Http2Connection ends the connection on ${what} as the first frame (RFC 9113 §3.4)`, () => {
    assertConnectionError(() => Bench.silent("client"), [code, frames]);
    const preface = (f: FrameFactory) => f.hello().subarray(0, 24);
    assertConnectionError(() => Bench.silent("server"), [
      code,
      (f, bench) => concat(preface(f), frames(f, bench)),
    ]);
  });
}

Deno.test("Http2Connection takes SETTINGS with any values and flags as the first frame (RFC 9113 §3.4, §4.1)", () => {
  const { outcome } = assertSameHoweverCut(
    () => Bench.silent("client"),
    (f) => f.frame(FrameType.SETTINGS, 0xff & ~Flag.ACK, 0, [0xaa, 0xbb, 0, 0, 0, 1]),
  );
  assert.deepEqual(outcome.events.map(eventLine), ["capacity"]);
  assert.deepEqual(outcome.output, ["SETTINGS 0 ACK"]);
});

Deno.test("Http2Connection ends the connection without a word of HTTP/2 where no preface came (RFC 9113 §3.4)", () => {
  const bench = Bench.silent("server");
  bench.output();
  assert.deepEqual(bench.events(text("INVALID CONNECTION PREFACE\r\n\r\n")), [
    `failed ${ErrorCode.PROTOCOL_ERROR}`,
  ]);
  assert.equal(bench.connection.outputBytes, 0);
});

Deno.test("Http2Connection answers HTTP/1.1 in its own words", () => {
  const { connection } = Bench.silent("server");
  const events = connection.receive(text("GET / HTTP/1.1\r\nhost: x\r\n\r\n"), 0);
  assert.deepEqual(events.map(eventLine), [`failed ${ErrorCode.PROTOCOL_ERROR}`]);
  const answer = new TextDecoder().decode(connection.takeOutput());
  assert.match(answer, /^HTTP\/1\.1 505 /);
  assert.match(answer, /gRPC/);
});
