import type { NodeName } from "../config/config.ts";
import type { Announcement } from "./announcement.ts";
import { decodePacket, encodeAnnouncement, encodeQuestion } from "./dns_sd.ts";
import type { Multicast } from "./multicast.ts";

/** A daemon that was found. */
export interface FoundPeer {
  readonly node: NodeName;
  /** "http://…" or "https://…" with its address and port. */
  readonly endpoint: string;
}

/** Whom discovery tells. */
export interface DiscoveryEvents {
  found(peer: FoundPeer): void;
  /** It said that it goes, or was not heard of for too long. */
  lost(peer: FoundPeer): void;
}

/** Calls back once after so many milliseconds, unless the returned function is called first. */
export type Timer = (ms: number, callback: () => void) => () => void;

/** How discovery works, where the defaults do not fit. */
export interface DiscoveryOptions {
  /** What to say of this daemon; nothing where undefined. */
  readonly announcement: Announcement | undefined;
  /** Who looks: others of this tenant are wanted, and this node itself is not. */
  readonly node: NodeName;
  readonly multicast: Multicast;
  readonly events: DiscoveryEvents;
  readonly timer: Timer;
}

/** Seconds for which an announcement holds (RFC 6762 §10 for names of hosts). */
export const TTL_SECONDS = 120;
/** Milliseconds between the first announcements (RFC 6762 §8.3), and between the first questions (§5.2). */
const FIRST_REPEAT_MS = 1_000;
/** Milliseconds between announcements, and between questions, at most: both well within the time to live. */
const REPEAT_MS = 40_000;
/** Milliseconds in which answers to questions gather: the whole network hears each. */
const ANSWER_MS = 100;
/** Daemons that are remembered; those beyond are left out, since anybody may announce any number. */
const MAX_FOUND = 256;
/** Of these with one address: one machine alone leaves room for all others. */
const MAX_FOUND_AT_ADDRESS = 16;

interface Found {
  readonly peer: FoundPeer;
  readonly address: string;
  readonly cancelExpiry: () => void;
}

/** Announces this daemon by multicast DNS and finds others of its tenant. */
export class Discovery {
  readonly #options: DiscoveryOptions;
  readonly #found = new Map<string, Found>();
  #ownAddress: string | undefined;
  #cancelRepeat: () => void = () => {};
  #cancelAnswer: (() => void) | undefined;
  #closed = false;
  readonly #receiving: Promise<void>;

  /** Begins at once. */
  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.#receiving = this.#receive();
    this.#repeat(FIRST_REPEAT_MS);
  }

  /** The "host:port" under which others find this daemon; undefined while that is not known. */
  get ownEndpoint(): string | undefined {
    const { announcement } = this.#options;
    if (announcement === undefined || this.#ownAddress === undefined) return undefined;
    return hostPort(this.#ownAddress, announcement.port);
  }

  /** Says goodbye, so that others need not wait until its announcement is too old. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRepeat();
    this.#cancelAnswer?.();
    for (const { cancelExpiry } of this.#found.values()) cancelExpiry();
    await this.#announce(0);
    this.#options.multicast.close();
    await this.#receiving;
  }

  #repeat(ms: number): void {
    void this.#announce(TTL_SECONDS);
    void this.#send(encodeQuestion());
    this.#cancelRepeat = this.#options.timer(ms, () => this.#repeat(Math.min(ms * 2, REPEAT_MS)));
  }

  async #announce(ttlSeconds: number): Promise<void> {
    const { announcement } = this.#options;
    const packet = announcement && encodeAnnouncement(announcement, this.#ownAddress, ttlSeconds);
    if (packet !== undefined) await this.#send(packet);
  }

  async #send(packet: Uint8Array): Promise<void> {
    try {
      await this.#options.multicast.send(packet);
    } catch {
      // The network may be down for a while: the next repetition tries again.
    }
  }

  async #receive(): Promise<void> {
    for (;;) {
      let received;
      try {
        received = await this.#options.multicast.receive();
      } catch {
        if (this.#closed) return;
        await new Promise<void>((resolve) => this.#options.timer(FIRST_REPEAT_MS, resolve));
        continue;
      }
      if (received === undefined) return;
      for (const heard of decodePacket(received.packet, received.from)) {
        if (heard.kind === "asked") this.#answer();
        else this.#hear(heard.announcement, heard.address, heard.ttlSeconds);
      }
    }
  }

  #answer(): void {
    if (this.#closed) return;
    this.#cancelAnswer ??= this.#options.timer(ANSWER_MS, () => {
      this.#cancelAnswer = undefined;
      void this.#announce(TTL_SECONDS);
    });
  }

  #hear(announcement: Announcement, address: string, ttlSeconds: number): void {
    if (this.#closed) return;
    const { node, announcement: own, events, timer } = this.#options;
    const { tenantId, blName, deviceId } = announcement.node;
    if (announcement.incarnation === own?.incarnation) {
      // What we said came back: that is how the network sees us, unless somebody else repeats it.
      if (address !== this.#ownAddress && this.#options.multicast.isOwn(address)) this.#ownAddress = address;
      return;
    }
    const isOurs = blName === node.blName && deviceId === node.deviceId;
    if (tenantId !== node.tenantId || isOurs) return;
    const endpoint = `${announcement.secure ? "https" : "http"}://${hostPort(address, announcement.port)}`;
    const key = `${endpoint} ${JSON.stringify(announcement.node)}`;
    const known = this.#found.get(key);
    known?.cancelExpiry();
    if (ttlSeconds === 0) return this.#lose(key);
    if (known === undefined && !this.#hasRoom(address)) return;
    const peer = { node: announcement.node, endpoint };
    // Who is there says so again before that; whoever claims to be for longer is not believed.
    const cancelExpiry = timer(Math.min(ttlSeconds, TTL_SECONDS) * 1_000, () => this.#lose(key));
    this.#found.set(key, { peer, address, cancelExpiry });
    if (known === undefined) events.found(peer);
  }

  #hasRoom(address: string): boolean {
    if (this.#found.size >= MAX_FOUND) return false;
    const there = [...this.#found.values()].filter((found) => found.address === address);
    return there.length < MAX_FOUND_AT_ADDRESS;
  }

  #lose(key: string): void {
    const found = this.#found.get(key);
    if (found === undefined) return;
    this.#found.delete(key);
    this.#options.events.lost(found.peer);
  }
}

function hostPort(address: string, port: number): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}`;
}
