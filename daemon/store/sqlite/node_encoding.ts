import type { NodeName } from "../store.ts";
import type { ByteReader } from "./byte_reader.ts";
import type { ByteWriter } from "./byte_writer.ts";

export function writeNode(to: ByteWriter, node: NodeName): void {
  to.text(node.tenantId);
  to.text(node.blName);
  to.text(node.deviceId);
}

export function readNode(from: ByteReader): NodeName {
  return { tenantId: from.text(), blName: from.text(), deviceId: from.text() };
}
