/**
 * A thread that publishes at a steady rate and does nothing else, so that its own timer and the consumer's work are no
 * part of what is measured: timers of an event loop come in whole milliseconds, and late.
 */
import { connect } from "@msgbus/sdk";
import { type OpenLoopOrder, type OpenLoopReport, sharedNow } from "./open_loop_order.ts";

/** Messages become due between two looks; it wakes this often at most. */
const TICK_MS = 0.25;

async function publishAll(order: OpenLoopOrder): Promise<OpenLoopReport> {
  const { address, topic, messages, rate, payloadBytes } = order;
  await using client = connect(address);
  await client.ready();
  const lateMs = new Float64Array(messages);
  const sleeper = new Int32Array(new SharedArrayBuffer(4));
  let acknowledged = 0;
  let allAcknowledged: () => void = () => {};
  let failed: (error: unknown) => void = () => {};
  const end = new Promise<void>((resolve, reject) => [allAcknowledged, failed] = [resolve, reject]);
  const counted = () => {
    if (++acknowledged === messages) allAcknowledged();
  };
  const begin = sharedNow();
  const dueAt = (message: number) => begin + message / rate * 1_000;
  for (let sent = 0; sent < messages;) {
    const now = sharedNow();
    for (; sent < messages && dueAt(sent) <= now; sent++) {
      const payload = new Uint8Array(payloadBytes);
      new DataView(payload.buffer).setFloat64(0, dueAt(sent));
      lateMs[sent] = now - dueAt(sent);
      client.publish(topic, payload).then(counted, failed);
    }
    // What is due leaves, and what came is taken, before the thread sleeps.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve));
    const leftMs = Math.max(dueAt(sent), sharedNow() + TICK_MS) - sharedNow();
    Atomics.wait(sleeper, 0, 0, leftMs);
  }
  await end;
  return { lateMs };
}

globalThis.addEventListener("message", async (event) => {
  postMessage(await publishAll((event as MessageEvent<OpenLoopOrder>).data));
}, { once: true });

declare function postMessage(report: OpenLoopReport): void;
