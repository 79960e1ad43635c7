import { StoreError } from "../error.ts";
import { AdaptiveSpin } from "./adaptive_spin.ts";
import type { AnswerReader, OpenedStore } from "./answer.ts";
import { readAnswer, readOpened } from "./answer.ts";
import { ByteReader } from "./byte_reader.ts";
import type { DatabaseOptions } from "./database.ts";
import { FrameReader } from "./frame.ts";
import { LONE_CALLS, LOOK_MS, MOST_SPIN_MS, SHORT_ANSWER_MS, WAITING_AWAKE_PAYS } from "./limits.ts";
import { Outbox } from "./outbox.ts";
import { type PendingCall, PendingCalls } from "./pending_calls.ts";
import { PipeReader, PipeWriter, sharedPipeMemory } from "./shared_pipe.ts";
import type { ThreadStart } from "./thread_start.ts";

/** The event loop's end of the store thread: sends calls through one pipe, settles them by answers from the other. */
export class StoreLink {
  readonly #worker: Worker;
  readonly #outbox: Outbox;
  readonly #pipe: PipeReader;
  readonly #frames: FrameReader;
  readonly #spin = WAITING_AWAKE_PAYS
    ? new AdaptiveSpin(SHORT_ANSWER_MS, MOST_SPIN_MS)
    : new AdaptiveSpin(0, 0);
  readonly #pending = new PendingCalls();
  /** Calls in a row that were of one message, with no other under way. */
  #loneCalls = 0;
  /** Set while nothing is pending. */
  #called: (() => void) | undefined;
  #ended: StoreError | undefined;

  private constructor(options: DatabaseOptions) {
    const start: ThreadStart = { requests: sharedPipeMemory(), answers: sharedPipeMemory(), options };
    this.#outbox = new Outbox(new PipeWriter(start.requests));
    this.#pipe = new PipeReader(start.answers);
    this.#frames = new FrameReader(this.#pipe);
    // Spelled like this so that `deno compile` finds the module.
    this.#worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module", name: "store" });
    this.#worker.onerror = (event) => {
      event.preventDefault(); // it must not end the daemon: the calls that wait say what happened
      this.#crash(event.message);
    };
    this.#worker.postMessage(start);
  }

  /** Starts the thread and settles when it has opened the database, with what it says of that; fails with its StoreError. */
  static async open(options: DatabaseOptions): Promise<OpenedStore & { readonly link: StoreLink }> {
    const link = new StoreLink(options);
    const opened = new Call(readOpened);
    link.#pending.add(opened);
    void link.#receive(); // ends with the thread, and never fails
    try {
      return { link, ...await opened.answer };
    } catch (error) {
      link.end();
      throw error;
    }
  }

  /** Sends a request that writes so many messages; settles with what `decode` reads from its answer. */
  call<T>(encode: (call: number) => Uint8Array, decode: AnswerReader<T>, messages = 0): Promise<T> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    const call = new Call(decode);
    const number = this.#pending.add(call);
    try {
      this.#outbox.send(encode(number));
    } catch (error) {
      this.#pending.take(number);
      return Promise.reject(error);
    }
    this.#loneCalls = messages === 1 && this.#pending.size === 1 ? this.#loneCalls + 1 : 0;
    this.#called?.();
    return call.answer;
  }

  /** Ends the thread. Nothing must be pending. */
  end(): void {
    this.#ended ??= new StoreError("closed", "Cannot use the store: its thread has ended; open it again");
    this.#worker.terminate();
  }

  async #receive(): Promise<void> {
    while (this.#ended === undefined) {
      const frame = this.#frames.next();
      if (frame !== undefined) this.#settle(frame);
      else if (this.#pending.size === 0) await this.#nextCall();
      else await this.#nextAnswer();
    }
  }

  /** Asleep without having told the store thread: waking this is up to `call`, and costs no notification. */
  async #nextCall(): Promise<void> {
    await new Promise<void>((resolve) => this.#called = resolve);
    this.#called = undefined;
  }

  async #nextAnswer(): Promise<void> {
    const begin = performance.now();
    // Where many wait there is other work for this processor.
    if (this.#loneCalls < LONE_CALLS || !await this.#pollForAnswer(begin + this.#spin.ms)) {
      await this.#pipe.filled();
    }
    this.#spin.waited(performance.now() - begin);
  }

  /** Looks for an answer until `end`, or until others are waited for; the event loop does its other work in between. */
  async #pollForAnswer(end: number): Promise<boolean> {
    while (this.#loneCalls >= LONE_CALLS && performance.now() < end) {
      if (this.#pipe.spinForBytes(LOOK_MS)) return true;
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    return this.#pipe.available > 0;
  }

  #settle(frame: Uint8Array<ArrayBuffer>): void {
    const body = new ByteReader(frame);
    const { call, error } = readAnswer(body);
    const pending = this.#pending.take(call);
    if (error === undefined) pending?.answered(body);
    else pending?.failed(error);
  }

  #crash(reason: string): void {
    const wish = "restart msgbusd and report this";
    this.#ended ??= new StoreError("broken", `Cannot use the store: its thread failed: ${reason}; ${wish}`);
    for (const pending of this.#pending.takeAll()) pending.failed(this.#ended);
  }
}

/** A call on its way. It holds nothing of its request: what was encoded need not stay in memory until the answer. */
class Call<T> implements PendingCall {
  readonly #decode: AnswerReader<T>;
  readonly #settled = Promise.withResolvers<T>();

  constructor(decode: AnswerReader<T>) {
    this.#decode = decode;
  }

  get answer(): Promise<T> {
    return this.#settled.promise;
  }

  answered(body: ByteReader): void {
    this.#settled.resolve(this.#decode(body));
  }

  failed(error: StoreError): void {
    this.#settled.reject(error);
  }
}
