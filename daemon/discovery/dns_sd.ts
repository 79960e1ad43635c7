// @ts-types="npm:@types/dns-packet@5.6.5"
import dnsPacket from "dns-packet";
import { Buffer } from "node:buffer";
import type { Announcement, Heard } from "./announcement.ts";

/** What daemons are called in DNS-SD (RFC 6763 §7). */
const SERVICE = "_msgbus._tcp.local";
/** The list of all kinds of services (RFC 6763 §9). */
const SERVICES = "_services._dns-sd._udp.local";
/** Of the keys in TXT: the version of what they mean. */
const VERSION = "1";
/** Bytes of one label (RFC 1035 §2.3.4). */
const LABEL_BYTES = 63;
/** A string of TXT has a length of one byte (RFC 6763 §6.1). */
const TXT_BYTES = 255;

type Answer = {
  readonly type: string;
  readonly name: string;
  readonly ttl?: number;
  readonly data?: unknown;
};

/** Asks who is there. */
export function encodeQuestion(): Uint8Array {
  return dnsPacket.encode({ type: "query", id: 0, questions: [{ type: "PTR", name: SERVICE }] });
}

/**
 * Says who is there (RFC 6762 §6, RFC 6763 §4): PTR, SRV and TXT, and A or AAAA where the own address is known. A time to
 * live of 0 says that it goes. Undefined where the node's name is too long for TXT.
 */
export function encodeAnnouncement(
  { node, incarnation, port, secure }: Announcement,
  address: string | undefined,
  ttlSeconds: number,
): Uint8Array | undefined {
  const texts = [
    `txtvers=${VERSION}`,
    `tenant=${node.tenantId}`,
    `bl=${node.blName}`,
    `device=${node.deviceId}`,
    `incarnation=${incarnation}`,
    `tls=${secure ? 1 : 0}`,
  ].map((text) => Buffer.from(text));
  if (texts.some(({ length }) => length > TXT_BYTES)) return undefined;
  const label = instanceLabel(node.deviceId, incarnation);
  const instance = `${label}.${SERVICE}`;
  const host = `msgbus-${incarnation}.local`;
  const ttl = ttlSeconds;
  const addresses = address === undefined ? [] : [
    {
      type: address.includes(":") ? "AAAA" as const : "A" as const,
      name: host,
      ttl,
      flush: true,
      data: address,
    },
  ];
  return dnsPacket.encode({
    type: "response",
    id: 0,
    flags: dnsPacket.AUTHORITATIVE_ANSWER,
    answers: [
      { type: "PTR", name: SERVICES, ttl, data: SERVICE },
      { type: "PTR", name: SERVICE, ttl, data: instance },
      { type: "SRV", name: instance, ttl, flush: true, data: { port, target: host, priority: 0, weight: 0 } },
      { type: "TXT", name: instance, ttl, flush: true, data: texts },
      ...addresses,
    ],
  });
}

/** What a packet says that concerns us. Nothing of one that can't be read: anybody may send anything here. */
export function decodePacket(bytes: Uint8Array, from: string): readonly Heard[] {
  let packet;
  try {
    packet = dnsPacket.decode(Buffer.from(bytes));
  } catch {
    return [];
  }
  if (packet.type === "query") {
    const asked = packet.questions?.some(({ name, type }) =>
      name.toLowerCase() === SERVICE && ["PTR", "ANY"].includes(type)
    );
    return asked ? [{ kind: "asked" }] : [];
  }
  const answers = [...packet.answers ?? [], ...packet.additionals ?? []] as Answer[];
  const heard: Heard[] = [];
  for (const { type, name, ttl, data } of answers) {
    if (type !== "TXT" || !name.toLowerCase().endsWith(`.${SERVICE}`)) continue;
    const port = portOf(answers.find((answer) => answer.type === "SRV" && answer.name === name)?.data);
    const announcement = announcementOf(data, port);
    if (announcement === undefined) continue;
    heard.push({ kind: "announced", announcement, address: from, ttlSeconds: ttl ?? 0 });
  }
  return heard;
}

function announcementOf(data: unknown, port: number): Announcement | undefined {
  const texts = new Map<string, string>();
  for (const item of Array.isArray(data) ? data : [data]) {
    const text = item instanceof Uint8Array ? new TextDecoder().decode(item) : String(item);
    const cut = text.indexOf("=");
    if (cut > 0) texts.set(text.slice(0, cut).toLowerCase(), text.slice(cut + 1));
  }
  const [tenantId, blName, deviceId, incarnation] = ["tenant", "bl", "device", "incarnation"].map((key) =>
    texts.get(key)
  );
  if (texts.get("txtvers") !== VERSION || port < 1) return undefined;
  if (!tenantId || !blName || !deviceId || !incarnation) return undefined;
  return { node: { tenantId, blName, deviceId }, incarnation, port, secure: texts.get("tls") === "1" };
}

function portOf(srv: unknown): number {
  const port = typeof srv === "object" && srv !== null && "port" in srv ? srv.port : undefined;
  return typeof port === "number" ? port : 0;
}

/** For people who browse: the device, and enough of the incarnation that no two are the same. */
function instanceLabel(deviceId: string, incarnation: string): string {
  const readable = deviceId.replace(/[^\w-]/g, "-").slice(0, LABEL_BYTES - 9);
  return `${readable}-${incarnation.slice(0, 8)}`;
}
