import assert from "node:assert/strict";
import type { ByteStream, Listener } from "../byte_stream.ts";
import { listenMemory } from "../memory.ts";
import { connectWebSocket } from "./connect.ts";
import { encodeFrame, Opcode } from "./frame.ts";
import { listenWebSocket, type WebSocketListenOptions } from "./listen.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const MASK = Uint8Array.of(1, 2, 3, 4);
const REQUEST: Readonly<Record<string, string>> = {
  Host: "localhost",
  Upgrade: "websocket",
  Connection: "keep-alive, Upgrade",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
  "Sec-WebSocket-Version": "13",
};

function requestOf(
  changes: Readonly<Record<string, string | undefined>> = {},
  line = "GET / HTTP/1.1",
): string {
  const fields = Object.entries({ ...REQUEST, ...changes }).filter(([, value]) => value !== undefined);
  return `${line}\r\n${fields.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
}

/** A listener in memory, and a raw connection to it. */
class Fixture {
  readonly listener: Listener;
  readonly #memory = listenMemory();

  constructor(options: WebSocketListenOptions = {}) {
    this.listener = listenWebSocket(this.#memory, options);
  }

  connect(): Promise<ByteStream> {
    return this.#memory.connect();
  }

  /** What a request gets, to the end of the connection or of the answer's head. */
  async answerTo(request: string): Promise<string> {
    const stream = await this.connect();
    await stream.write(encoder.encode(request));
    let text = "";
    for (let bytes = await stream.read(); bytes !== null; bytes = await stream.read()) {
      text += decoder.decode(bytes);
      if (text.startsWith("HTTP/1.1 101") && text.endsWith("\r\n\r\n")) break;
    }
    stream.close();
    return text;
  }
}

Deno.test("listenWebSocket answers the handshake of RFC 6455 §1.3", async () => {
  const fixture = new Fixture();
  const answer = await fixture.answerTo(requestOf());
  assert.match(answer, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(answer, /\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  fixture.listener.close();
});

Deno.test("listenWebSocket refuses what is no handshake, and goes on", async () => {
  const fixture = new Fixture();
  const refused: readonly (readonly [string, RegExp])[] = [
    [requestOf({}, "POST / HTTP/1.1"), /^HTTP\/1\.1 400 /],
    [requestOf({}, "GET / HTTP/1.0"), /^HTTP\/1\.1 400 /],
    [requestOf({ Upgrade: undefined }), /^HTTP\/1\.1 426 [\s\S]*Upgrade: websocket/],
    [requestOf({ Connection: "close" }), /^HTTP\/1\.1 426 /],
    [requestOf({ "Sec-WebSocket-Version": "8" }), /^HTTP\/1\.1 426 [\s\S]*Sec-WebSocket-Version: 13/],
    [requestOf({ "Sec-WebSocket-Key": "c2hvcnQ=" }), /^HTTP\/1\.1 400 /],
    [requestOf({ "bad name": "x" }), /^HTTP\/1\.1 400 /],
    [requestOf({ X: "a\nb" }), /^HTTP\/1\.1 400 /],
    [requestOf({ X: `${" ".repeat(14_000)}\n` }), /^HTTP\/1\.1 400 /],
    ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1\.1 400 /],
    [`GET / HTTP/1.1\r\nX: ${"x".repeat(20_000)}`, /^HTTP\/1\.1 400 /],
  ];
  for (const [request, expected] of refused) assert.match(await fixture.answerTo(request), expected);
  assert.match(await fixture.answerTo(requestOf()), /^HTTP\/1\.1 101 /);
  fixture.listener.close();
});

Deno.test("listenWebSocket lets no page of a browser in, but those it was told", async () => {
  const closed = new Fixture();
  const open = new Fixture({ origins: ["https://app.example"] });
  const wide = new Fixture({ origins: ["*"] });
  const app = requestOf({ Origin: "https://app.example" });
  const evil = requestOf({ Origin: "https://evil.example" });
  assert.match(await closed.answerTo(app), /^HTTP\/1\.1 403 /);
  assert.match(await open.answerTo(app), /^HTTP\/1\.1 101 /);
  assert.match(await open.answerTo(evil), /^HTTP\/1\.1 403 [\s\S]*https:\/\/evil\.example may not connect/);
  assert.match(await wide.answerTo(evil), /^HTTP\/1\.1 101 /);
  for (const { listener } of [closed, open, wide]) listener.close();
});

Deno.test("listenWebSocket closes a handshake that takes too long; the others are not held up", async () => {
  const timers: (() => void)[] = [];
  const clock = {
    nowMs: () => 0,
    after: (_: number, callback: () => void) => {
      timers.push(callback);
      return () => {};
    },
  };
  const fixture = new Fixture({ clock, maxHandshakes: 2 });
  const slow = await fixture.connect();
  await slow.write(encoder.encode("GET / HTTP/1.1\r\n"));
  assert.match(await fixture.answerTo(requestOf()), /^HTTP\/1\.1 101 /);
  for (const timer of timers) timer();
  assert.equal(await slow.read(), null);
  fixture.listener.close();
});

Deno.test("listenWebSocket holds a bounded number of handshakes: the oldest gives way", async () => {
  const fixture = new Fixture({ maxHandshakes: 1 });
  const first = await fixture.connect();
  await first.write(encoder.encode("GET / HTTP/1.1\r\n"));
  assert.match(await fixture.answerTo(requestOf()), /^HTTP\/1\.1 101 /);
  assert.equal(await first.read(), null);
  fixture.listener.close();
});

async function pair(fixture: Fixture): Promise<[client: ByteStream, server: ByteStream]> {
  const [client, server] = await Promise.all([
    connectWebSocket(() => fixture.connect(), "localhost")(),
    fixture.listener.accept(),
  ]);
  return [client, server ?? assert.fail("the listener is closed")];
}

Deno.test("a WebSocket carries bytes both ways, and its end", async () => {
  const fixture = new Fixture();
  const [client, server] = await pair(fixture);
  await client.write(Uint8Array.of(1, 2, 3));
  assert.deepEqual([...await server.read() ?? []], [1, 2, 3]);
  await server.write(Uint8Array.of(4));
  assert.deepEqual([...await client.read() ?? []], [4]);
  await client.closeWrite();
  assert.equal(await server.read(), null);
  await server.write(Uint8Array.of(5));
  assert.deepEqual([...await client.read() ?? []], [5]);
  server.close();
  assert.equal(await client.read(), null);
  fixture.listener.close();
});

/** A connection whose handshake is done, frame by frame. */
async function raw(fixture: Fixture): Promise<[client: ByteStream, server: ByteStream]> {
  const client = await fixture.connect();
  await client.write(encoder.encode(requestOf()));
  const server = await fixture.listener.accept();
  await client.read();
  return [client, server ?? assert.fail("the listener is closed")];
}

Deno.test("a WebSocket answers pings while it waits for data, and ends a flood of them with 1008", async () => {
  const fixture = new Fixture();
  const [client, server] = await raw(fixture);
  const reading = server.read();
  reading.catch(() => {});
  await client.write(encodeFrame(Opcode.PING, Uint8Array.of(7), MASK));
  assert.deepEqual([...await client.read() ?? []], [0x8a, 1, 7]);
  let last = new Uint8Array();
  for (let i = 0; i < 101 && last[0] !== 0x88; i++) {
    await client.write(encodeFrame(Opcode.PING, new Uint8Array(0), MASK));
    last = Uint8Array.from(await client.read() ?? []);
  }
  assert.deepEqual([...last.subarray(0, 4)], [0x88, last.length - 2, 0x03, 0xf0]);
  await assert.rejects(reading, /too many pings/);
  fixture.listener.close();
});

Deno.test("a WebSocket says with a code why it ends a connection that breaks the protocol", async () => {
  const fixture = new Fixture();
  const [client, server] = await raw(fixture);
  const reading = server.read();
  reading.catch(() => {});
  await client.write(Uint8Array.of(0x82, 0x01, 0x00));
  const close = await client.read();
  assert.deepEqual([...close?.subarray(0, 1) ?? [], ...close?.subarray(2, 4) ?? []], [0x88, 0x03, 0xea]);
  assert.match(decoder.decode(close?.subarray(4)), /must mask/);
  await assert.rejects(reading, /must mask/);
  assert.equal(await client.read(), null);
  fixture.listener.close();
});

Deno.test("connectWebSocket says what answered instead of a WebSocket", async () => {
  const answers: readonly (readonly [string, RegExp])[] = [
    ["HTTP/1.1 403 Forbidden\r\n\r\n", /made no WebSocket of it: HTTP\/1\.1 403/],
    [
      "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nnot you\n",
      /made no WebSocket of it: HTTP\/1\.1 403 Forbidden: not you$/,
    ],
    ["HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n", /upgraded to something else/],
    [
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n",
      /did not answer our key/,
    ],
    ["SSH-2.0-OpenSSH", /ended the WebSocket's handshake/],
  ];
  for (const [answer, expected] of answers) {
    const memory = listenMemory();
    const connecting = connectWebSocket(memory.connect, "localhost")();
    const server = await memory.accept();
    await server?.read();
    await server?.write(encoder.encode(answer));
    await server?.closeWrite();
    await assert.rejects(connecting, expected);
    memory.close();
  }
});
