import type { NodeName } from "../store/store.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** Messages of a log that its origin deleted, both ends included. */
export interface DeletedRange {
  readonly topic: string;
  readonly from: number;
  readonly to: number;
}

/** The payload of a delete marker. Other daemons read it: names, order and form are part of the contract. */
export function encodeDeleteMarker(
  topic: string,
  origin: NodeName,
  fromHeadId: number,
  toHeadId: number,
  createdAtMs: number,
): Uint8Array {
  return encoder.encode(JSON.stringify({
    topic,
    origin: { tenant_id: origin.tenantId, bl_name: origin.blName, device_id: origin.deviceId },
    from_head_id: fromHeadId,
    to_head_id: toHeadId,
    created_at_ms: createdAtMs,
  }));
}

/** What a delete marker says; undefined when the payload is none. */
export function readDeleteMarker(
  payload: Uint8Array,
): DeletedRange & { readonly origin: NodeName } | undefined {
  let marker: unknown;
  try {
    marker = JSON.parse(decoder.decode(payload));
  } catch {
    return undefined;
  }
  if (!isRecord(marker) || !isRecord(marker.origin)) return undefined;
  const { topic, origin, from_head_id: from, to_head_id: to } = marker;
  const { tenant_id: tenantId, bl_name: blName, device_id: deviceId } = origin;
  if (typeof topic !== "string" || !isHead(from) || !isHead(to) || to < Math.max(1, from)) return undefined;
  if (typeof tenantId !== "string" || typeof blName !== "string" || typeof deviceId !== "string") {
    return undefined;
  }
  return { topic, origin: { tenantId, blName, deviceId }, from: Math.max(1, from), to };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function isHead(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
