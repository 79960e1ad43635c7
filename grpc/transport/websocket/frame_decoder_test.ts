import assert from "node:assert/strict";
import fc from "fast-check";
import { CloseCode, closePayload, encodeFrame, Opcode } from "./frame.ts";
import { FrameDecoder, type WebSocketEvent } from "./frame_decoder.ts";

const MASK = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
const HELLO = new TextEncoder().encode("Hello");

function concat(...parts: readonly ArrayLike<number>[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** The events of bytes that come in pieces of a size; data that follows data is one event. */
function decoded(bytes: Uint8Array, masked: boolean, pieceBytes = bytes.length): WebSocketEvent[] {
  const decoder = new FrameDecoder(masked);
  const events: WebSocketEvent[] = [];
  let data: Uint8Array[] = [];
  const endData = () => {
    if (data.length > 0) events.push({ type: "data", bytes: concat(...data) });
    data = [];
  };
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    for (const event of decoder.receive(bytes.slice(at, at + pieceBytes))) {
      if (event.type === "data") data.push(event.bytes);
      else {
        endData();
        events.push(event);
      }
    }
  }
  endData();
  return events;
}

Deno.test("FrameDecoder reads the examples of RFC 6455 §5.7", () => {
  const text = (
    frame: number[],
  ) => [frame[0] === undefined ? 0 : frame[0] & 0xf0 | Opcode.BINARY, ...frame.slice(1)];
  const unmasked = Uint8Array.from(text([0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]));
  assert.deepEqual(decoded(unmasked, false), [{ type: "data", bytes: HELLO }]);
  const masked = Uint8Array.from(text([0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]));
  assert.deepEqual(decoded(masked, true), [{ type: "data", bytes: HELLO }]);
  assert.deepEqual(encodeFrame(Opcode.BINARY, HELLO, MASK), masked);
  const fragmented = concat(text([0x01, 0x03, 0x48, 0x65, 0x6c]), [0x80, 0x02, 0x6c, 0x6f]);
  assert.deepEqual(decoded(fragmented, false), [{ type: "data", bytes: HELLO }]);
  const ping = Uint8Array.of(0x89, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f);
  assert.deepEqual(decoded(ping, false), [{ type: "ping", payload: HELLO }]);
});

Deno.test("FrameDecoder reads what encodeFrame writes, at every length and however it is cut", () => {
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 130 }),
    fc.constantFrom(125, 126, 127, 65_535, 65_536, 100_000).map((length) =>
      new Uint8Array(length).map((_, at) => at)
    ),
  );
  fc.assert(
    fc.property(
      fc.array(payload, { maxLength: 4 }),
      fc.boolean(),
      fc.integer({ min: 7, max: 50_000 }),
      (payloads, masked, size) => {
        const mask = masked ? MASK : undefined;
        const wire = concat(...payloads.map((bytes) => encodeFrame(Opcode.BINARY, bytes, mask)));
        const sent = concat(...payloads);
        const events = decoded(wire, masked, size);
        assert.deepEqual(events, sent.length === 0 ? [] : [{ type: "data", bytes: sent }]);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("FrameDecoder gives the same events whole and byte by byte: data, pings between its frames, and the end", () => {
  const wire = concat(
    [0x02, 0x83, ...MASK],
    [1, 2, 3].map((octet, at) => octet ^ (MASK[at] ?? 0)),
    encodeFrame(Opcode.PING, HELLO, MASK),
    encodeFrame(Opcode.PONG, HELLO, MASK),
    [0x80, 0x80, ...MASK],
    encodeFrame(Opcode.BINARY, new Uint8Array(0), MASK),
    encodeFrame(Opcode.PING, new Uint8Array(0), MASK),
    encodeFrame(Opcode.CLOSE, closePayload(CloseCode.NORMAL, "bye"), MASK),
    encodeFrame(Opcode.BINARY, HELLO, MASK),
  );
  const events = decoded(wire, true);
  assert.deepEqual(events, [
    { type: "data", bytes: Uint8Array.of(1, 2, 3) },
    { type: "ping", payload: HELLO },
    { type: "ping", payload: new Uint8Array(0) },
    { type: "close" },
  ]);
  for (const size of [1, 2, 3, 7]) assert.deepEqual(decoded(wire, true, size), events, `${size}`);
});

Deno.test("FrameDecoder ends what breaks RFC 6455, with the code of §7.4.1", () => {
  const broken: readonly (readonly [string, number[], boolean, CloseCode])[] = [
    ["§5.1: an unmasked frame of a client", [0x82, 0x01, 0x00], true, CloseCode.PROTOCOL_ERROR],
    ["§5.1: a masked frame of a server", [0x82, 0x81, 0, 0, 0, 0, 0], false, CloseCode.PROTOCOL_ERROR],
    ["§5.2: a reserved bit", [0xc2, 0x00], false, CloseCode.PROTOCOL_ERROR],
    ["§5.2: a reserved opcode for data", [0x83, 0x00], false, CloseCode.PROTOCOL_ERROR],
    ["§5.2: a reserved opcode for control", [0x8b, 0x00], false, CloseCode.PROTOCOL_ERROR],
    ["§5.2: a length beyond 2^63", [0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], false, CloseCode.PROTOCOL_ERROR],
    ["§5.4: a continuation of nothing", [0x80, 0x00], false, CloseCode.PROTOCOL_ERROR],
    ["§5.4: a message within another", [0x02, 0x00, 0x82, 0x00], false, CloseCode.PROTOCOL_ERROR],
    ["§5.5: a fragmented ping", [0x09, 0x00], false, CloseCode.PROTOCOL_ERROR],
    ["§5.5: a ping of 126 bytes", [0x89, 126, 0, 126], false, CloseCode.PROTOCOL_ERROR],
    ["§5.6: text, which carries no bytes", [0x81, 0x00], false, CloseCode.UNSUPPORTED_DATA],
  ];
  for (const [what, bytes, masked, code] of broken) {
    for (const size of [bytes.length, 1]) {
      const [event, ...more] = decoded(Uint8Array.from([...bytes, 0x82, 0x00]), masked, size);
      assert(event?.type === "failed" && event.code === code, `${what}: ${JSON.stringify(event)}`);
      assert.deepEqual(more, [], "nothing follows");
    }
  }
});

Deno.test("FrameDecoder never throws, whatever comes", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 400 }),
      fc.boolean(),
      fc.integer({ min: 1, max: 40 }),
      (bytes, masked, size) => {
        decoded(bytes, masked, size);
      },
    ),
  );
});
