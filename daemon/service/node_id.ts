import type { NodeId } from "@msgbus/proto";
import type { NodeName } from "../store/store.ts";
import { WireReader } from "./wire_reader.ts";
import { WireWriter } from "./wire_writer.ts";

/** Tags of NodeId: field number × 8 + wire type. */
const TENANT_ID = 0x0a;
const BL_NAME = 0x12;
const DEVICE_ID = 0x1a;

/** A NodeId of the wire as the bus wants it; absent stays absent. */
export function nodeNameOf(node: NodeId | undefined): NodeName | undefined {
  return node === undefined
    ? undefined
    : { tenantId: node.tenantId, blName: node.blName, deviceId: node.deviceId };
}

/**
 * Reads a NodeId from its wire bytes; where the field stands twice, the later parts win (protobuf.dev, Last One Wins).
 * Throws StatusError INVALID_ARGUMENT.
 */
export function readNodeName(bytes: Uint8Array, before: NodeName | undefined): NodeName {
  const reader = new WireReader(bytes);
  let { tenantId, blName, deviceId } = before ?? { tenantId: "", blName: "", deviceId: "" };
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === TENANT_ID) tenantId = reader.string();
    else if (tag === BL_NAME) blName = reader.string();
    else if (tag === DEVICE_ID) deviceId = reader.string();
    else reader.skipUnknown(tag, 3);
  }
  return { tenantId, blName, deviceId };
}

/** The wire bytes of a NodeId. */
export function writeNodeName({ tenantId, blName, deviceId }: NodeName): Uint8Array {
  return new WireWriter().text(TENANT_ID, tenantId).text(BL_NAME, blName).text(DEVICE_ID, deviceId).finish();
}
