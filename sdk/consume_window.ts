import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { ConsumeRequestSchema, type ConsumeStartSchema } from "@msgbus/proto/stream";
import { SDK_LIMITS } from "./limits.ts";

/** What the daemon may send of one call: a window that moves on with what was taken. */
export class ConsumeWindow {
  readonly #start: MessageInitShape<typeof ConsumeStartSchema>;
  /** Taken, and not said yet. */
  #messages = 0;
  #bytes = 0;
  #ended = false;
  #wake: (() => void) | undefined;

  /** `start` is what the call begins with. */
  constructor(start: MessageInitShape<typeof ConsumeStartSchema>) {
    this.#start = start;
  }

  /** Gives back what was taken. */
  add(messages: number, bytes: number): void {
    this.#messages += messages;
    this.#bytes += bytes;
    if (this.#due) this.#wake?.();
  }

  /** Ends the requests. */
  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The requests of the call: its start with the whole window, then what was given back, a quarter of it at a time. */
  async *requests(): AsyncGenerator<Uint8Array> {
    yield encode({
      start: this.#start,
      credit: credit(SDK_LIMITS.consumeWindowMessages, SDK_LIMITS.consumeWindowBytes),
    });
    for (;;) {
      // Asked anew before each wait: what is given back while a request is on its way wakes nobody.
      while (!this.#due && !this.#ended) await new Promise<void>((resolve) => this.#wake = resolve);
      if (this.#ended) return;
      const more = credit(this.#messages, this.#bytes);
      this.#messages = this.#bytes = 0;
      yield encode({ credit: more });
    }
  }

  get #due(): boolean {
    const { consumeWindowMessages, consumeWindowBytes } = SDK_LIMITS;
    return this.#messages * 4 >= consumeWindowMessages || this.#bytes * 4 >= consumeWindowBytes;
  }
}

function credit(messages: number, bytes: number): { messages: bigint; bytes: bigint } {
  return { messages: BigInt(messages), bytes: BigInt(bytes) };
}

function encode(request: MessageInitShape<typeof ConsumeRequestSchema>): Uint8Array {
  return toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, request));
}
