import type { NodeName } from "../store/store.ts";

const encoder = new TextEncoder();

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
