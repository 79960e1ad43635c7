import type { ClientStream } from "./client_stream.ts";

/** The messages of a client, one after the other into a call, until they end or the call does. */
export class RequestPump {
  /** What the iterable threw, where it did: the call was cancelled for it. */
  failure: { readonly error: unknown } | undefined;
  readonly #call: ClientStream;
  readonly #requests: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;

  private constructor(call: ClientStream, requests: AsyncIterator<Uint8Array> | Iterator<Uint8Array>) {
    this.#call = call;
    this.#requests = requests;
  }

  /** Starts to send. When the call is over first, the iterable is told to return, and nobody waits for it. */
  static start(
    call: ClientStream,
    requests: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): RequestPump {
    const iterator = Symbol.asyncIterator in requests
      ? requests[Symbol.asyncIterator]()
      : requests[Symbol.iterator]();
    const pump = new RequestPump(call, iterator);
    call.whenOver(() => void pump.#stop());
    void pump.#run();
    return pump;
  }

  async #run(): Promise<void> {
    try {
      for (let next = await this.#requests.next(); next.done !== true; next = await this.#requests.next()) {
        if (this.#call.over) return;
        await this.#call.write(next.value);
      }
      this.#call.finishSending();
    } catch (error) {
      this.failure = { error };
      this.#call.cancel();
    }
  }

  async #stop(): Promise<void> {
    try {
      await this.#requests.return?.();
    } catch {
      // The call is over: nobody asks how its requests ended.
    }
  }
}
