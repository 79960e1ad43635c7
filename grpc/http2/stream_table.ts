import type { Http2Role } from "./role.ts";
import type { Stream } from "./stream.ts";
import { StreamMap } from "./stream_map.ts";

/** How a stream that is in no table any more came to its end; one that was skipped never began. */
export type HowClosed = "ended" | "by us" | "by peer" | "skipped";

/** Resets that are remembered: frames may still come for them. Older ones count as ended. */
const MAX_REMEMBERED_RESETS = 1_024;
/** Gaps that are remembered in the peer's numbers. Streams of older ones count as ended. */
const MAX_REMEMBERED_GAPS = 64;
const MAX_STREAM_ID = 0x7fff_ffff;

/** The first stream of each side (RFC 9113 §5.1.1). */
const FIRST_ID: Readonly<Record<Http2Role, number>> = { client: 1, server: 2 };

/** The open streams of a connection, and what is known of the others by their number (RFC 9113 §5.1.1). */
export class StreamTable {
  readonly #open = new StreamMap<Stream>();
  readonly #resets = new Map<number, "by us" | "by peer">();
  /** Numbers that the peer passed over, each pair inclusive. */
  readonly #gaps: (readonly [from: number, to: number])[] = [];
  readonly #role: Http2Role;
  #lastPeerId = 0;
  #nextLocalId: number;

  /** Clients open odd numbers, servers even ones. */
  constructor(role: Http2Role) {
    this.#role = role;
    this.#nextLocalId = FIRST_ID[role];
  }

  /** How many streams are open or half-closed. */
  get size(): number {
    return this.#open.size;
  }

  /** The highest stream that the peer opened, or 0. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  /** Whether there is a number left for one more stream of ours. */
  get hasNextLocalId(): boolean {
    return this.#nextLocalId <= MAX_STREAM_ID;
  }

  /** The number for the next stream of ours. */
  nextLocalId(): number {
    const id = this.#nextLocalId;
    this.#nextLocalId += 2;
    return id;
  }

  /** Whether the number can open a stream of the peer's: odd from a client, above all before. */
  isNewPeerId(id: number): boolean {
    return this.isPeerId(id) && id > this.#lastPeerId;
  }

  /** The peer opened this stream: all lower ones that it skipped are closed. */
  notePeerId(id: number): void {
    const next = this.#lastPeerId === 0
      ? FIRST_ID[this.#role === "server" ? "client" : "server"]
      : this.#lastPeerId + 2;
    if (id > next) {
      this.#gaps.push([next, id - 2]);
      if (this.#gaps.length > MAX_REMEMBERED_GAPS) this.#gaps.shift();
    }
    this.#lastPeerId = id;
  }

  /** Whether a stream of this number has never been opened. */
  isIdle(id: number): boolean {
    return this.isPeerId(id) ? id > this.#lastPeerId : id >= this.#nextLocalId;
  }

  /** The open stream of this number. */
  get(id: number): Stream | undefined {
    return this.#open.get(id);
  }

  /** All open streams, by their numbers, in a list of its own. */
  all(): Stream[] {
    return this.#open.values();
  }

  /** Adds an open stream. */
  add(stream: Stream): void {
    this.#open.set(stream.id, stream);
  }

  /** Takes a stream out: it is closed. */
  remove(stream: Stream): void {
    this.#open.delete(stream.id);
  }

  /** Takes all streams out. */
  clear(): void {
    this.#open.clear();
  }

  /** Remembers a reset for the frames that may still come. */
  noteReset(id: number, how: "by us" | "by peer"): void {
    this.#resets.set(id, how);
    if (this.#resets.size <= MAX_REMEMBERED_RESETS) return;
    const oldest = this.#resets.keys().next();
    if (!oldest.done) this.#resets.delete(oldest.value);
  }

  /** How the closed stream of this number ended. */
  howClosed(id: number): HowClosed {
    const reset = this.#resets.get(id);
    if (reset !== undefined) return reset;
    const skipped = this.isPeerId(id) && this.#gaps.some(([from, to]) => id >= from && id <= to);
    return skipped ? "skipped" : "ended";
  }

  /** Whether a stream of this number is the peer's: odd from a client, even from a server. */
  isPeerId(id: number): boolean {
    return id !== 0 && (id % 2 === 1) === (this.#role === "server");
  }
}
