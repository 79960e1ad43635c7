import assert from "node:assert/strict";
import { create, type Message, toBinary } from "@bufbuild/protobuf";
import { Channel, type Connect, type ResponseStream } from "@msgbus/grpc";
import { type SyncRequest, SyncRequestSchema } from "@msgbus/proto/sync";
import type { ReplicatedMessage } from "../store/store.ts";
import { decodeResponse } from "./sync_codec.ts";

const SYNC = "/msgbus.v1.SyncService/Sync";

/** Whoever calls SyncService, and says what it likes. */
export class TestCaller implements AsyncDisposable {
  readonly #channel: Channel;
  readonly #requests = new TransformStream<Uint8Array, Uint8Array>();
  readonly #writer = this.#requests.writable.getWriter();
  readonly #responses: ResponseStream;

  constructor(connect: Connect) {
    this.#channel = new Channel(connect);
    this.#responses = this.#channel.bidiStreaming(SYNC, this.#requests.readable);
  }

  /** Sends a request, which `as` may change before. */
  say(
    request: SyncRequest["request"],
    as: <T extends Message>(message: T) => T = (message) => message,
  ): void {
    const message = as(create(SyncRequestSchema, { request }));
    void this.#writer.write(toBinary(SyncRequestSchema, message)).catch(() => {}); // who reads hears of it
  }

  /** Waits for responses and gives the messages in them. Throws StatusError. */
  async messages(): Promise<readonly ReplicatedMessage[]> {
    const responses = await this.#responses.nextBatch() ?? assert.fail("the session ended");
    return responses.flatMap((bytes) => decodeResponse(bytes).batch?.messages ?? []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#responses.cancel();
    await this.#channel.close();
  }
}
