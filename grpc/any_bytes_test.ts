/** Whatever bytes the other side sends, a server and a channel end in order: nothing throws, hangs or stays behind. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { Channel } from "./channel.ts";
import { CLIENT_PREFACE } from "./http2/preface.ts";
import { ANSWER, concat, FrameFactory, REQUEST } from "./http2/testing/frame_factory.ts";
import { messagePrefix } from "./message_reader.ts";
import { GrpcServer } from "./server.ts";
import { StatusError } from "./status.ts";
import type { ByteStream } from "./transport/byte_stream.ts";
import { memoryPipe } from "./transport/memory.ts";

const f = new FrameFactory();

/** A body: messages that are right, cut, too long or of an unknown kind. */
const body = fc.oneof(
  fc.uint8Array({ maxLength: 20 }),
  fc.uint8Array({ maxLength: 20 }).map((message) => concat(messagePrefix(message.length), message)),
  fc.tuple(fc.nat({ max: 2 }), fc.constantFrom(0, 5, 4_194_305, 0xffff_ffff)).map(([flag, length]) => {
    const prefix = Uint8Array.of(flag, 0, 0, 0, 0);
    new DataView(prefix.buffer).setUint32(1, length);
    return prefix;
  }),
);

/** Fields that gRPC gives a meaning, with values that have one and that do not. */
const fields = fc.dictionary(
  fc.constantFrom(
    "grpc-timeout",
    "grpc-encoding",
    "grpc-status",
    "grpc-message",
    "x-bin",
    "content-type",
    "te",
  ),
  fc.oneof(
    fc.constantFrom("0", "1S", "1H", "gzip", "%zz", "AAA", "application/grpc"),
    fc.string({ maxLength: 8 }),
  ),
  { maxKeys: 3, noNullPrototype: true },
).map((some) => Object.fromEntries(Object.entries(some).map(([name, value]) => [name, latin1(value)])));

function latin1(text: string): string {
  return text.replaceAll(/[^ -\xff]/g, "?");
}

const streamId = fc.nat({ max: 4 }).map((n) => 1 + 2 * n);
const path = fc.constantFrom("/t.T/Unary", "/t.T/Output", "/t.T/Input", "/t.T/Duplex", "/t.T/Nothing");

/** What a client, or a server, may say at any time. */
const words = fc.oneof(
  fc.tuple(streamId, path, fields, fc.boolean()).map(([id, to, extra, end]) =>
    new FrameFactory().headers(id, { ...REQUEST, ":path": to, ...extra }, { endStream: end })
  ),
  fc.tuple(streamId, fields, fc.boolean()).map(([id, extra, end]) =>
    new FrameFactory().headers(id, { ...ANSWER, ...extra }, { endStream: end })
  ),
  fc.tuple(streamId, fields).map(([id, extra]) => new FrameFactory().headers(id, extra, { endStream: true })),
  fc.tuple(streamId, body, fc.boolean()).map(([id, bytes, end]) => f.data(id, bytes, end)),
  fc.tuple(streamId, fc.nat({ max: 14 })).map(([id, code]) => f.rstStream(id, code)),
  fc.constantFrom(f.ping(), f.settings(), f.settingsAck(), f.goaway(1, 0), f.windowUpdate(0, 5)),
);
const said = fc.oneof(
  { weight: 30, arbitrary: words },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 30 }) },
);
const conversation = fc.array(said, { maxLength: 30, size: "max" });

/** Says everything in pieces of 50 bytes, reads whatever comes, and closes. */
async function say(stream: ByteStream, bytes: Uint8Array): Promise<void> {
  const reading = (async () => {
    while (await stream.read() !== null);
  })();
  for (let at = 0; at < bytes.length; at += 50) {
    try {
      await stream.write(bytes.subarray(at, at + 50));
    } catch {
      // The other side had enough and closed.
      break;
    }
  }
  await stream.closeWrite();
  stream.close();
  await reading;
}

Deno.test("GrpcServer serves any client to its end: no error of ours, no handler left behind", async () => {
  await fc.assert(
    fc.asyncProperty(conversation, async (pieces) => {
      const errors: unknown[] = [];
      const running = new Set<Promise<unknown>>();
      const track = <T>(handling: Promise<T>): Promise<T> => {
        running.add(handling);
        return handling;
      };
      const server = new GrpcServer({ onError: (error) => errors.push(error) })
        .method("/t.T/Unary", { kind: "unary", handle: (request) => request })
        .method("/t.T/Output", {
          kind: "server_streaming",
          handle: (request, call) => track(call.write(request)),
        })
        .method("/t.T/Input", {
          kind: "client_streaming",
          handle: (requests) => track(lengthOf(requests)),
        })
        .method("/t.T/Duplex", {
          kind: "bidi_streaming",
          handle: (requests, call) => track(echo(requests, call)),
        });
      const [ours, theirs] = memoryPipe();
      const handled = server.handle(theirs);
      await say(ours, concat(CLIENT_PREFACE, f.settings(), ...pieces));
      await handled;
      await Promise.allSettled(running);
      assert.equal(server.connections, 0);
      assert.deepEqual(errors, []);
    }),
    { seed: 9113, numRuns: 300 },
  );
});

async function lengthOf(requests: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  let length = 0;
  for await (const request of requests) length += request.length;
  return Uint8Array.of(length);
}

async function echo(
  requests: AsyncIterable<Uint8Array>,
  call: { write(message: Uint8Array): Promise<void> },
): Promise<void> {
  for await (const request of requests) await call.write(request);
}

Deno.test("Channel ends every call of any server: with responses or a StatusError, and with nothing left behind", async () => {
  await fc.assert(
    fc.asyncProperty(conversation, async (pieces) => {
      const talks: Promise<void>[] = [];
      let connections = 0;
      const channel = new Channel(() => {
        // One server that says it all; the calls that it never looked at find no other.
        if (connections++ > 0) return Promise.reject(new Error("there is one server only"));
        const [ours, theirs] = memoryPipe();
        talks.push(say(theirs, concat(f.settings(), ...pieces)));
        return Promise.resolve(ours);
      });
      const one = Uint8Array.of(1);
      const calls = [
        channel.unary("/t.T/Unary", one),
        all(channel.serverStreaming("/t.T/Output", one)),
        channel.clientStreaming("/t.T/Input", [one, one]),
        all(channel.bidiStreaming("/t.T/Duplex", [one, one])),
      ];
      for (const result of await Promise.allSettled<unknown>(calls)) {
        if (result.status === "rejected") {
          assert.ok(result.reason instanceof StatusError, String(result.reason));
        }
      }
      await channel.close();
      await Promise.all(talks);
    }),
    { seed: 9113, numRuns: 300 },
  );
});

async function all(responses: AsyncIterable<Uint8Array>): Promise<number> {
  let count = 0;
  for await (const _ of responses) count++;
  return count;
}
