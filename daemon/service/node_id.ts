import type { NodeId } from "@msgbus/proto";
import type { NodeName } from "../store/store.ts";

/** A NodeId of the wire as the bus wants it; absent stays absent. */
export function nodeNameOf(node: NodeId | undefined): NodeName | undefined {
  return node === undefined
    ? undefined
    : { tenantId: node.tenantId, blName: node.blName, deviceId: node.deviceId };
}
