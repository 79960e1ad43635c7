import type { Readiness } from "../bus/bus.ts";
import type { NodeName } from "../store/store.ts";
import { writeNodeName } from "./node_id.ts";
import { unreadableRequest } from "./unreadable_request.ts";
import { WireReader } from "./wire_reader.ts";
import { WireWriter } from "./wire_writer.ts";

/** Tags of HealthResponse: field number × 8 + wire type. */
const HEALTH = { STATUS: 0x0a, NODE: 0x12, INCARNATION: 0x1a } as const;
/** Tags of ReadyResponse. */
const READY = { READY: 0x08, STATUS: 0x12, ERROR: 0x1a, NODE: 0x22, DURABILITY: 0x2a } as const;

/**
 * Reads a request without fields, such as a HealthRequest. What supervisors ask again and again is read and answered by
 * hand, so that a daemon that does nothing else holds no codec in memory; `probes_test.ts` holds it against the
 * generated code. Throws StatusError INVALID_ARGUMENT.
 */
export function readEmptyRequest(bytes: Uint8Array, typeName: string): void {
  try {
    const reader = new WireReader(bytes);
    for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) reader.skipUnknown(tag, 0);
  } catch (error) {
    throw unreadableRequest(typeName, error);
  }
}

/** A HealthResponse: the process answers, as this node. */
export function healthResponse(node: NodeName, incarnation: string): Uint8Array {
  return new WireWriter()
    .text(HEALTH.STATUS, "SERVING")
    .bytes(HEALTH.NODE, writeNodeName(node))
    .text(HEALTH.INCARNATION, incarnation)
    .finish();
}

/** A ReadyResponse: whether the store answers, and what an acknowledgement promises. */
export function readyResponse(state: Readiness, node: NodeName, durability: string): Uint8Array {
  return new WireWriter()
    .bool(READY.READY, state.ready)
    .text(READY.STATUS, state.ready ? "READY" : "NOT_READY")
    .text(READY.ERROR, state.ready ? "" : state.error)
    .bytes(READY.NODE, writeNodeName(node))
    .text(READY.DURABILITY, durability)
    .finish();
}
