import assert from "node:assert/strict";
import type { Announcement } from "./announcement.ts";
import { Discovery, type FoundPeer, TTL_SECONDS } from "./discovery.ts";
import { decodePacket, encodeAnnouncement, encodeQuestion } from "./dns_sd.ts";
import type { Multicast } from "./multicast.ts";

function announcementOf(deviceId: string, port: number, tenantId = "tenant"): Announcement {
  return { node: { tenantId, blName: "line", deviceId }, incarnation: `of-${deviceId}`, port, secure: false };
}

/** Time that stands still until it is told, and a network on which everybody hears everything, oneself included. */
class Lan {
  #nowMs = 0;
  readonly #timers = new Map<symbol, { atMs: number; callback: () => void }>();
  readonly #ports: { readonly address: string; deliver(packet: Uint8Array, from: string): void }[] = [];
  /** Packets sent. */
  packets = 0;

  readonly timer = (ms: number, callback: () => void): () => void => {
    const key = Symbol();
    this.#timers.set(key, { atMs: this.#nowMs + ms, callback });
    return () => this.#timers.delete(key);
  };

  port(address: string): Multicast {
    const waiting: { packet: Uint8Array; from: string }[] = [];
    let wake: () => void = () => {};
    let closed = false;
    this.#ports.push({
      address,
      deliver(packet, from) {
        waiting.push({ packet, from });
        wake();
      },
    });
    return {
      send: (packet) => {
        this.packets++;
        for (const port of this.#ports) port.deliver(packet, address);
        return Promise.resolve();
      },
      async receive() {
        while (waiting.length === 0 && !closed) await new Promise<void>((resolve) => wake = resolve);
        return waiting.shift();
      },
      isOwn: (other) => other === address,
      close() {
        closed = true;
        wake();
      },
    };
  }

  /** Somebody sends whatever they like. */
  inject(packet: Uint8Array, from: string): void {
    for (const port of this.#ports) port.deliver(packet, from);
  }

  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    for (;;) {
      await settled();
      const due = [...this.#timers].filter(([, { atMs }]) =>
        atMs <= end
      ).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#nowMs = due[1].atMs;
      due[1].callback();
    }
    this.#nowMs = end;
  }
}

async function settled(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

function discover(lan: Lan, address: string, announcement: Announcement) {
  const log: string[] = [];
  const say = (what: string) => ({ node, endpoint }: FoundPeer) =>
    log.push(`${what} ${node.deviceId} ${endpoint}`);
  const discovery = new Discovery({
    announcement,
    node: announcement.node,
    multicast: lan.port(address),
    events: { found: say("found"), lost: say("lost") },
    timer: lan.timer,
  });
  return { discovery, log };
}

Deno.test("Discovery finds daemons of its tenant, each once, and tells when one says goodbye", async () => {
  const lan = new Lan();
  const a = discover(lan, "10.0.0.1", announcementOf("a", 1));
  await lan.advance(5_000);
  const b = discover(lan, "10.0.0.2", announcementOf("b", 2));
  const stranger = discover(lan, "10.0.0.3", announcementOf("c", 3, "another tenant"));
  await lan.advance(300_000);
  assert.deepEqual(a.log, ["found b http://10.0.0.2:2"]);
  assert.deepEqual(b.log, ["found a http://10.0.0.1:1"]);
  assert.deepEqual(stranger.log, []);
  await b.discovery.close();
  await lan.advance(0);
  assert.deepEqual(a.log, ["found b http://10.0.0.2:2", "lost b http://10.0.0.2:2"]);
  await a.discovery.close();
  await stranger.discovery.close();
});

Deno.test("Discovery knows its own address by what comes back, and takes it from nobody else", async () => {
  const lan = new Lan();
  const { discovery } = discover(lan, "10.0.0.1", announcementOf("a", 7));
  const repeated = encodeAnnouncement(announcementOf("a", 7), undefined, TTL_SECONDS) ?? assert.fail();
  lan.inject(repeated, "10.0.0.66");
  await lan.advance(1_000);
  assert.equal(discovery.ownEndpoint, "10.0.0.1:7");
  lan.inject(repeated, "10.0.0.66");
  await lan.advance(1_000);
  assert.equal(discovery.ownEndpoint, "10.0.0.1:7");
  await discovery.close();
});

Deno.test("Discovery forgets who is not heard of any more, and bounds how many it remembers", async () => {
  const lan = new Lan();
  const a = discover(lan, "10.0.0.1", announcementOf("a", 1));
  // The longest time that there is.
  const announce = (name: string, address: string) => {
    const packet = encodeAnnouncement(announcementOf(name, 7), undefined, 2 ** 31 - 1);
    lan.inject(packet ?? assert.fail(), address);
  };
  for (let i = 0; i < 1_000; i++) announce(`x${i}`, "10.0.0.9");
  await lan.advance(1_000);
  assert.equal(a.log.length, 16, "of one machine");
  for (let i = 0; i < 1_000; i++) announce(`y${i}`, `10.0.1.${i % 100}`);
  await lan.advance(1_000);
  assert.equal(a.log.length, 256, "of all");
  await lan.advance(TTL_SECONDS * 1_000);
  assert.equal(a.log.filter((line) => line.startsWith("lost")).length, 256);
  await a.discovery.close();
});

Deno.test("Discovery says little: a quiet network of two hears few packets in ten minutes", async () => {
  const lan = new Lan();
  const both = [
    discover(lan, "10.0.0.1", announcementOf("a", 1)),
    discover(lan, "10.0.0.2", announcementOf("b", 2)),
  ];
  await lan.advance(60_000);
  lan.packets = 0;
  await lan.advance(600_000);
  assert.ok(lan.packets <= 150, `${lan.packets} packets`);
  for (const { discovery } of both) await discovery.close();
});

Deno.test("packets that are none, or of others, or cut anywhere, are nothing", () => {
  const packet = encodeAnnouncement(announcementOf("a", 1), "10.0.0.1", TTL_SECONDS) ?? assert.fail();
  assert.deepEqual(decodePacket(packet, "10.0.0.1"), [{
    kind: "announced",
    announcement: announcementOf("a", 1),
    address: "10.0.0.1",
    ttlSeconds: TTL_SECONDS,
  }]);
  assert.deepEqual(decodePacket(encodeQuestion(), "10.0.0.1"), [{ kind: "asked" }]);
  for (let cut = 0; cut < packet.length; cut++) {
    const heard = decodePacket(packet.subarray(0, cut), "");
    assert.ok(heard.length <= 1, "what can still be read of it");
  }
  assert.deepEqual(decodePacket(new Uint8Array(512).fill(0xff), ""), []);
  assert.deepEqual(decodePacket(new Uint8Array(512).fill(0xc0), ""), []);
});

Deno.test("a node whose name does not fit into TXT is not announced", () => {
  assert.equal(encodeAnnouncement(announcementOf("x".repeat(300), 1), undefined, 1), undefined);
  const umlauts = announcementOf("Gerät 1.é/", 1);
  const packet = encodeAnnouncement(umlauts, undefined, 1) ?? assert.fail();
  const [heard] = decodePacket(packet, "");
  assert.deepEqual(heard?.kind === "announced" && heard.announcement, umlauts);
});
