import assert from "node:assert/strict";
import type { ErrorCode } from "../error_code.ts";
import type { Http2Event } from "../event.ts";
import { type Bench, eventLine } from "./bench.ts";
import { type FrameFactory, REQUEST } from "./frame_factory.ts";

/**
 * What a peer does wrong: the code of the answer, and the frames. The function may bring the bench into the state that
 * the fault needs before it returns them.
 */
export type Violation = readonly [
  code: ErrorCode,
  frames: (f: FrameFactory, bench: Bench) => Uint8Array,
];

/** What a feeding brought about. */
interface Outcome {
  readonly events: readonly Http2Event[];
  readonly output: readonly string[];
}

/** Above this many bytes not every cut is tried, but those near both ends and some between. */
const MAX_BYTES_CUT_EVERYWHERE = 1_000;

/** The violation ends the connection with GOAWAY and the code, and nothing goes on after it. */
export function assertConnectionError(start: () => Bench, [code, frames]: Violation): void {
  const { bench, outcome } = assertSameHoweverCut(start, frames);
  const events = outcome.events.map(eventLine);
  assert.equal(events.at(-1), `failed ${code}`);
  assert.match(outcome.output.at(-1) ?? "", new RegExp(`^GOAWAY \\d+ ${code}$`));
  assert.deepEqual(bench.events(bench.peer.ping()), [], "nothing goes on after it");
  assert.equal(bench.connection.outputBytes, 0, "nothing is answered after it");
  assert.equal(bench.connection.openStreams, 0);
}

/** The violation ends stream 1 with RST_STREAM and the code, and no other: the connection goes on. */
export function assertStreamError(start: () => Bench, [code, frames]: Violation): void {
  const { bench, outcome } = assertSameHoweverCut(start, frames);
  const ends = outcome.output.filter((line) => /^(RST_STREAM|GOAWAY)/.test(line));
  assert.deepEqual(ends, [`RST_STREAM 1 ${code}`]);
  assertWorks(bench);
}

/** A new stream works in both directions, and the header tables are in step. */
export function assertWorks(bench: Bench): void {
  if (bench.role === "server") {
    const request = bench.peer.headers(99, { ...REQUEST, "x-still": "works" }, { endStream: true });
    assert.deepEqual(bench.events(request), ["headers 99 end"]);
    return;
  }
  const id = bench.open();
  const answer = bench.peer.headers(id, { ":status": "200", "x-still": "works" }, { endStream: true });
  assert.deepEqual(bench.events(answer), [`headers ${id} end`]);
}

/** Feeds the frames whole, cut at every byte, and byte by byte, each time to a new bench: all bring about the same. */
export function assertSameHoweverCut(
  start: () => Bench,
  frames: Violation[1],
): { readonly bench: Bench; readonly outcome: Outcome } {
  const whole = feed(start, frames, () => []);
  const { length } = whole;
  for (let cut = 1; cut < length; cut++) {
    if (length > MAX_BYTES_CUT_EVERYWHERE && cut > 50 && cut < length - 50 && cut % 4_999 !== 0) continue;
    assert.deepEqual(feed(start, frames, () => [cut]).outcome, whole.outcome, `cut at ${cut}`);
  }
  const everywhere = (bytes: number) => Array.from({ length: bytes - 1 }, (_, index) => index + 1);
  assert.deepEqual(feed(start, frames, everywhere).outcome, whole.outcome, "byte by byte");
  return whole;
}

function feed(
  start: () => Bench,
  frames: Violation[1],
  cutsOf: (length: number) => readonly number[],
): { readonly bench: Bench; readonly outcome: Outcome; readonly length: number } {
  const bench = start();
  const bytes = frames(bench.peer, bench);
  bench.output();
  const events: Http2Event[] = [];
  let from = 0;
  for (const to of [...cutsOf(bytes.length), bytes.length]) {
    events.push(...bench.connection.receive(bytes.slice(from, to), bench.nowMs));
    from = to;
  }
  return { bench, outcome: { events, output: bench.output() }, length: bytes.length };
}
