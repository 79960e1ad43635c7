import { ErrorCode } from "../../grpc/http2/error_code.ts";
import { Flag, FrameType } from "../../grpc/http2/frame/frame_type.ts";
import { concat, type FrameFactory, REQUEST } from "../../grpc/http2/testing/frame_factory.ts";
import { messagePrefix } from "../../grpc/message_reader.ts";
import { Attacker, type AttackerOptions } from "./attacker.ts";

/** Bytes that are sent at once. */
const PIECE_BYTES = 32_768;
/** Milliseconds in which the daemon must have closed after the last byte of an attack. */
const DEADLINE_MS = 5_000;

/** The same again and again, until the daemon has had enough. */
export interface Flood extends AttackerOptions {
  /** Times it is done in all, over as many connections as that takes. */
  readonly count: number;
  /** What is said first on every connection. */
  readonly opening?: (frames: FrameFactory) => Uint8Array;
  /** What is said in every round; `id` is a stream that was not used yet. Where it takes no `id`, all rounds are the same. */
  readonly round: (frames: FrameFactory, id: number) => Uint8Array;
}

/** What became of the attacker. */
export interface FloodOutcome {
  /** Connections that it took. */
  readonly connections: number;
  /** How they ended: with the code of a GOAWAY, without one that could still be read, or not at all. */
  readonly ends: Set<number | "closed" | "open">;
}

/** Does it to a daemon. */
export async function flood(address: string, attack: Flood): Promise<FloodOutcome> {
  const ends = new Set<number | "closed" | "open">();
  let connections = 0;
  for (let left = attack.count; left > 0;) {
    const attacker = await Attacker.hello(address, attack);
    connections++;
    if (attack.opening !== undefined) await attacker.say(attack.opening(attacker.frames));
    left -= await floodOnce(attacker, attack, left);
    // The last one may have stayed below every limit: where it was let go on, it is judged only when it is the first.
    if (left > 0 || connections === 1 || attacker.closed || attacker.goaway !== undefined) {
      const over = await attacker.over(DEADLINE_MS);
      ends.add(attacker.goaway ?? (over ? "closed" : "open"));
    }
    attacker.close();
  }
  return { connections, ends };
}

async function floodOnce(attacker: Attacker, { round }: Flood, left: number): Promise<number> {
  let rounds = 0;
  const same = round.length < 2 ? round(attacker.frames, 0) : undefined;
  const samePiece = same === undefined ? undefined : repeated(same, Math.ceil(PIECE_BYTES / same.length));
  while (rounds < left && !attacker.closed && attacker.goaway === undefined) {
    if (same !== undefined && samePiece !== undefined) {
      await attacker.say(samePiece);
      rounds += samePiece.length / same.length;
      continue;
    }
    const pieces: Uint8Array[] = [];
    for (let bytes = 0; bytes < PIECE_BYTES && rounds < left; rounds++) {
      const piece = round(attacker.frames, 2 * rounds + 101);
      pieces.push(piece);
      bytes += piece.length;
    }
    await attacker.say(concat(...pieces));
  }
  return rounds;
}

function repeated(bytes: Uint8Array, times: number): Uint8Array {
  const whole = new Uint8Array(bytes.length * times);
  for (let at = 0; at < whole.length; at += bytes.length) whole.set(bytes, at);
  return whole;
}

const { HEADERS, PRIORITY, CONTINUATION, DATA } = FrameType;
const { END_HEADERS } = Flag;

/** The topic with stored messages, which are never read. */
export const STORED_TOPIC = "stored";
/** A call that goes on until its client ends it: a subscription of a topic that nobody publishes to. */
const SUBSCRIBE = { ...REQUEST, ":path": "/msgbus.v1.MsgbusService/Subscribe" };
/** A call whose answer is 100 stored messages. */
const FETCH = { ...REQUEST, ":path": "/msgbus.v1.MsgbusService/Fetch" };
const SILENT_TOPIC = "silence";

/** The request of either call: a message whose first field is the topic. */
function requestFor(topic: string): Uint8Array {
  const octets = new TextEncoder().encode(topic);
  return concat(messagePrefix(octets.length + 2), [0x0a, octets.length], octets);
}

/** A whole call for stored messages. */
export function fetchCall(f: FrameFactory, id: number): Uint8Array {
  return concat(f.headers(id, FETCH), f.data(id, requestFor(STORED_TOPIC), true));
}

function call(f: FrameFactory, id: number): Uint8Array {
  return f.headers(id, SUBSCRIBE);
}

function wholeCall(f: FrameFactory, id: number): Uint8Array {
  return concat(f.headers(id, SUBSCRIBE), f.data(id, requestFor(SILENT_TOPIC), true));
}

const NO_WINDOW = [[0x4, 0]] as const;
/** A reference to the first entry of the dynamic table, which has the number 62 (RFC 7541 §2.3.3, §6.1). */
const FIRST_ENTRY_INDEXED = 0x80 | 62;

/** A literal with a new name that becomes the first entry of the table. */
function inserted(name: string, value: string): number[] {
  const octets = [...new TextEncoder().encode(name)];
  const value7 = value.length < 127
    ? [value.length]
    : [127, (value.length - 127) % 128 | 0x80, Math.floor((value.length - 127) / 128)];
  return [0x40, octets.length, ...octets, ...value7, ...new TextEncoder().encode(value)];
}

/** A request by literals that leave the table alone, then what is put into it, then references to its first entry. */
function references(count: number, ...first: number[]): Uint8Array {
  const text = new TextEncoder();
  const literals = Object.entries(REQUEST).flatMap(([name, value]) => [
    ...[0, name.length, ...text.encode(name)],
    ...[value.length, ...text.encode(value)],
  ]);
  return concat(literals, first, new Uint8Array(count).fill(FIRST_ENTRY_INDEXED));
}

/** The attacks by name, each with the number of the published table, and with what the attacker must be told. */
export const FLOODS: Readonly<Record<string, Flood>> = {
  "rapid reset (CVE-2023-44487)": {
    count: 20_000,
    round: (f, id) => concat(call(f, id), f.rstStream(id, ErrorCode.CANCEL)),
  },
  "MadeYouReset by WINDOW_UPDATE of 0 (CVE-2025-8671)": {
    count: 4_000,
    round: (f, id) => concat(call(f, id), f.windowUpdate(id, 0)),
  },
  "MadeYouReset by a window that overflows (CVE-2025-8671)": {
    count: 4_000,
    round: (f, id) => concat(call(f, id), f.windowUpdate(id, 0x7fff_ffff)),
  },
  "MadeYouReset by PRIORITY of a wrong length (CVE-2025-8671)": {
    count: 4_000,
    round: (f, id) => concat(call(f, id), f.frame(PRIORITY, 0, id, [0])),
  },
  "MadeYouReset by a stream that depends on itself (CVE-2025-8671)": {
    count: 4_000,
    round: (f, id) => concat(call(f, id), f.priority(id, id)),
  },
  "MadeYouReset by DATA after END_STREAM (CVE-2025-8671)": {
    count: 4_000,
    round: (f, id) => concat(wholeCall(f, id), f.data(id, [0])),
  },
  "MadeYouReset by HEADERS after END_STREAM (CVE-2025-8671)": {
    count: 4_000,
    round: (f, id) => concat(wholeCall(f, id), f.headers(id, { "x-late": "1" }, { endStream: true })),
  },
  "CONTINUATION flood (CVE-2024-27316)": {
    count: 20_000,
    opening: (f) => f.headers(1, REQUEST, { endHeaders: false }),
    round: (f) => f.frame(CONTINUATION, 0, 1, []),
  },
  "CONTINUATION flood of a large block (CVE-2024-27316)": {
    count: 1_000,
    opening: (f) => f.headers(1, REQUEST, { endHeaders: false }),
    round: (f) => f.frame(CONTINUATION, 0, 1, new Uint8Array(4_096)),
  },
  "HPACK bomb: one large entry, 10,000 references (CVE-2016-6581)": {
    count: 1_500,
    opening: (f) =>
      f.frame(HEADERS, END_HEADERS, 1, references(1, ...inserted("x-large", "a".repeat(3_900)))),
    round: (f, id) => f.frame(HEADERS, END_HEADERS, id, references(10_000)),
  },
  "HTTP/2 bomb: thousands of tiny fields under a shut window (CVE-2026-49975)": {
    count: 3_000,
    settings: NO_WINDOW,
    opening: (f) => f.frame(HEADERS, END_HEADERS, 1, references(1, ...inserted("a", ""))),
    round: (f, id) => f.frame(HEADERS, END_HEADERS, id, references(4_000)),
  },
  "PING flood (CVE-2019-9512)": {
    count: 100_000,
    reads: false,
    round: (f) => f.ping(),
  },
  "SETTINGS flood (CVE-2019-9515)": {
    count: 100_000,
    reads: false,
    round: (f) => f.settings(),
  },
  "reset flood (CVE-2019-9514)": {
    count: 20_000,
    round: (f, id) => f.headers(id, { ...REQUEST, "te": "everything" }),
  },
  "data dribble (CVE-2019-9511)": {
    count: 100_000,
    settings: NO_WINDOW,
    opening: (f) => wholeCall(f, 1),
    round: (f) => f.windowUpdate(1, 1),
  },
  "fields of no length (CVE-2019-9516)": {
    count: 20_000,
    round: (f, id) => f.frame(HEADERS, END_HEADERS, id, concat(f.block(REQUEST), [0, 0, 0])),
  },
  "calls whose answers are never read (CVE-2019-9517)": {
    count: 20_000,
    reads: false,
    settings: [[0x4, 0x7fff_ffff]],
    opening: (f) => f.windowUpdate(0, 0x7fff_0000),
    round: fetchCall,
  },
  "empty DATA (CVE-2019-9518)": {
    count: 100_000,
    opening: (f) => call(f, 1),
    round: (f) => f.data(1, []),
  },
  "DATA of padding alone (CVE-2019-9518)": {
    count: 100_000,
    opening: (f) => call(f, 1),
    round: (f) => f.frame(DATA, Flag.PADDED, 1, [0]),
  },
  "PRIORITY churn (CVE-2019-9513)": {
    count: 100_000,
    opening: (f) => call(f, 1),
    round: (f, id) => f.priority(1, id),
  },
  "DATA of one byte": {
    count: 1_000_000,
    opening: (f) => concat(call(f, 1), f.data(1, messagePrefix(1_000_000))),
    round: (f) => f.data(1, [0]),
  },
  "WINDOW_UPDATE flood": {
    count: 100_000,
    round: (f) => f.windowUpdate(0, 10),
  },
  "frames of unknown types": {
    count: 100_000,
    round: (f) => f.frame(0xfa, 0, 0, []),
  },
};
