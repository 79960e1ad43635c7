import assert from "node:assert/strict";
import { type ByteStream, memoryPipe } from "@msgbus/grpc";
import { patientConnect } from "./patient_connect.ts";

/** Timers that fire when they are told. */
class Timers {
  readonly #callbacks = new Set<() => void>();

  readonly timer = (_: number, callback: () => void): () => void => {
    this.#callbacks.add(callback);
    return () => this.#callbacks.delete(callback);
  };

  get waiting(): number {
    return this.#callbacks.size;
  }

  fire(): void {
    for (const callback of [...this.#callbacks]) {
      this.#callbacks.delete(callback);
      callback();
    }
  }
}

interface Attempt {
  readonly signal: AbortSignal | undefined;
  readonly resolve: (stream: ByteStream) => void;
  readonly reject: (error: Error) => void;
}

function attempts() {
  const made: Attempt[] = [];
  const connect = (signal?: AbortSignal) =>
    new Promise<ByteStream>((resolve, reject) => made.push({ signal, resolve, reject }));
  return { made, connect };
}

Deno.test("patientConnect tries again beside an attempt that takes long, and takes the first that succeeds", async () => {
  const timers = new Timers();
  const { made, connect } = attempts();
  const connected = patientConnect(connect, timers.timer)(new AbortController().signal);
  timers.fire();
  timers.fire();
  assert.equal(made.length, 3);
  const [stream] = memoryPipe();
  made[1]?.resolve(stream);
  assert.equal(await connected, stream);
  assert.deepEqual(made.map(({ signal }) => signal?.aborted), [true, false, true]);
  assert.equal(timers.waiting, 0);
  const [late, other] = memoryPipe();
  made[0]?.resolve(late);
  await assert.doesNotReject(other.read(), "a late one is closed");
});

Deno.test("patientConnect fails with the first failure, and when it is told to end", async () => {
  for (const abort of [false, true]) {
    const timers = new Timers();
    const { made, connect } = attempts();
    const control = new AbortController();
    const connected = patientConnect(connect, timers.timer)(control.signal);
    timers.fire();
    if (abort) control.abort(new Error("refused"));
    else made[0]?.reject(new Error("refused"));
    await assert.rejects(connected, /refused/);
    assert.equal(made[1]?.signal?.aborted, true);
    assert.equal(timers.waiting, 0);
  }
});
