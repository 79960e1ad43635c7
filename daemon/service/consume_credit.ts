/** What may be sent. */
export interface Credit {
  readonly messages: number;
  readonly bytes: number;
}

/** How much a consumer may still be sent. */
export class ConsumeCredit {
  #messages = 0;
  #bytes = 0;
  #state: "open" | "finished" | "closed" = "open";
  #wake: (() => void) | undefined;

  /** From now on nothing is counted. */
  unbound(): void {
    this.#messages = Infinity;
    this.#bytes = Infinity;
  }

  /** Adds what the client allows. */
  add(messages: bigint, bytes: bigint): void {
    this.#messages += Number(messages);
    this.#bytes += Number(bytes);
    this.#wake?.();
  }

  /** A message was sent. */
  use(bytes: number): void {
    this.#messages--;
    this.#bytes -= bytes;
  }

  /** What is left, as soon as something is left of each; undefined when nothing is and nothing is to come. */
  async some(): Promise<Credit | undefined> {
    while (this.#state !== "closed" && (this.#messages <= 0 || this.#bytes <= 0)) {
      if (this.#state === "finished") return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return this.#state === "closed" ? undefined : { messages: this.#messages, bytes: this.#bytes };
  }

  /** The client adds nothing any more. */
  finish(): void {
    if (this.#state === "open") this.#state = "finished";
    this.#wake?.();
  }

  /** Nothing is sent any more. */
  close(): void {
    this.#state = "closed";
    this.#wake?.();
  }
}
