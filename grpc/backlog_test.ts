/** What waits for many clients that take nothing, and what it does to one that reads. */
import assert from "node:assert/strict";
import { Channel } from "./channel.ts";
import { SettingId } from "./http2/settings.ts";
import { concat, FrameFactory, REQUEST } from "./http2/testing/frame_factory.ts";
import { messagePrefix } from "./message_reader.ts";
import { GrpcServer } from "./server.ts";
import type { ByteStream } from "./transport/byte_stream.ts";
import { listenMemory } from "./transport/memory.ts";

const PATH = "/test.Test/Pages";
const PAGE_BYTES = 100_000;
const PAGES = 5;

/** A server whose handlers make pages in turn, and how many they made. */
class Pages implements AsyncDisposable {
  made = 0;
  readonly listener = listenMemory();
  readonly #server: GrpcServer;
  readonly #serving: Promise<void>;

  constructor(maxQueuedBytesAheadOfAll: number) {
    this.#server = new GrpcServer({ limits: { maxQueuedBytesAheadOfAll } }).method(PATH, {
      kind: "server_streaming",
      handle: async (_, call) => {
        for (let page = 0; page < PAGES; page++) {
          call.send(
            await call.inTurn(async () => {
              await eventLoop();
              this.made++;
              return new Uint8Array(PAGE_BYTES);
            }),
          );
        }
      },
    });
    this.#serving = this.#server.serve(this.listener);
  }

  /** A client that calls and has no window for the answer. */
  async taker(): Promise<ByteStream> {
    const stream = await this.listener.connect();
    const frames = new FrameFactory();
    void (async () => {
      while (await stream.read() !== null);
    })();
    await stream.write(concat(
      frames.hello([[SettingId.INITIAL_WINDOW_SIZE, 0]]),
      frames.settingsAck(),
      frames.headers(1, { ...REQUEST, ":path": PATH }),
      frames.data(1, messagePrefix(0), true),
    ));
    return stream;
  }

  async settled(): Promise<number> {
    for (let last = -1; last !== this.made;) {
      last = this.made;
      for (let i = 0; i < 20; i++) await eventLoop();
    }
    return this.made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown(0);
    await this.#serving;
  }
}

function eventLoop(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("GrpcServer bounds what waits for clients that take nothing, over all connections, and serves who reads", async () => {
  await using pages = new Pages(1_000_000);
  const takers = await Promise.all(Array.from({ length: 100 }, () => pages.taker()));
  const made = await pages.settled();
  // What is full, and the turns that were under way when it became so.
  assert.ok(made >= 10 && made <= 10 + 2 * 8, `${made} pages were made for nobody`);
  {
    await using channel = new Channel(pages.listener.connect);
    let bytes = 0;
    for await (const page of channel.serverStreaming(PATH, new Uint8Array(0))) bytes += page.length;
    assert.equal(bytes, PAGES * PAGE_BYTES);
  }
  for (const taker of takers) taker.close();
  await pages.settled();
  const before = pages.made;
  const taker = await pages.taker();
  assert.equal(await pages.settled() - before, PAGES, "what waited for who is gone does not count any more");
  taker.close();
});
