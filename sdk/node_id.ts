/** The name of a daemon. Three empty parts mean the daemon one is connected to. */
export interface NodeId {
  /** Whose it is. */
  readonly tenantId: string;
  /** The part of the tenant's business that it serves. */
  readonly blName: string;
  /** The device it runs on. */
  readonly deviceId: string;
}

/** The node of a field of the wire that may be absent. */
export function nodeIdOf(node: NodeId | undefined): NodeId {
  return { tenantId: node?.tenantId ?? "", blName: node?.blName ?? "", deviceId: node?.deviceId ?? "" };
}
