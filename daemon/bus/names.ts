import type { NodeName } from "../store/store.ts";
import { BusError } from "./error.ts";
import { NAME_BYTES } from "./limits.ts";
import type { RequestNode } from "./requests.ts";

/** Topics that begin with this are written by the bus itself. Reading them is allowed. */
export const RESERVED_TOPIC_PREFIX = "$msgbus.";

/** The log of this node's delete markers. */
export const DELETE_TOPIC = "$msgbus.delete";

/** The log of queue messages on their way to a node, whose name follows. */
export const FIFO_TOPIC_PREFIX = "$msgbus.fifo.";

/** The log that says how far the queue messages of a node, whose name follows, were received. */
export const FIFO_RECEIVED_TOPIC_PREFIX = "$msgbus.fifo-received.";

const encoder = new TextEncoder();

/**
 * Throws invalid_argument unless the name is well-formed text of at most 1,024 UTF-8 bytes, without NUL, and not
 * empty after trimming. The name itself is used as given, not trimmed.
 */
export function checkName(value: string, field: string): void {
  if (value.trim() === "") throw invalidName(field, "it is empty", "give it a value");
  if (value.includes("\0")) throw invalidName(field, "it contains a NUL byte", "leave that out");
  // Half a surrogate pair has no UTF-8 form: two such names would become one on their way to the disk.
  if (!value.isWellFormed()) throw invalidName(field, "it is not well-formed Unicode", "send valid text");
  if (value.length * 3 <= NAME_BYTES) return; // UTF-8 needs at most 3 bytes per UTF-16 unit
  const bytes = value.length > NAME_BYTES ? value.length : encoder.encode(value).length;
  if (bytes > NAME_BYTES) {
    throw invalidName(field, `it has more than ${NAME_BYTES} bytes`, "shorten it");
  }
}

/** Throws invalid_argument unless the idempotency key is 1 to 256 characters of printable ASCII. */
export function checkKey(key: string): void {
  if (/^[\x20-\x7e]{1,256}$/.test(key)) return;
  throw invalidName(
    "idempotency_key",
    key === "" ? "it is empty" : "it is longer than 256 bytes, or not printable ASCII",
    "give it 1 to 256 characters of printable ASCII",
  );
}

/** Throws permission_denied for a topic that the bus writes itself; `action` is what was wanted. */
export function checkNotReserved(action: string, topic: string): void {
  if (!topic.startsWith(RESERVED_TOPIC_PREFIX)) return;
  throw new BusError(
    "permission_denied",
    `Cannot ${action} "${topic}": topics that begin with ${RESERVED_TOPIC_PREFIX} are reserved; use another`,
    { field: "topic" },
  );
}

/** Whether {@link checkName} would let it pass. */
export function isName(value: string): boolean {
  try {
    checkName(value, "name");
    return true;
  } catch {
    return false; // why is of no interest here
  }
}

/** Throws invalid_argument unless each part is a valid name. */
export function checkNode(node: NodeName, field: string): void {
  checkName(node.tenantId, `${field}.tenant_id`);
  checkName(node.blName, `${field}.bl_name`);
  checkName(node.deviceId, `${field}.device_id`);
}

/** The node a request means: the local one when it is absent or all its parts are empty. Throws invalid_argument. */
export function resolveNode(node: RequestNode, local: NodeName, field: string): NodeName {
  if (node === undefined || isEmptyNode(node) || isSameNode(node, local)) return local;
  checkNode(node, field);
  return node;
}

export function isEmptyNode(node: NodeName): boolean {
  return node.tenantId === "" && node.blName === "" && node.deviceId === "";
}

export function isSameNode(a: NodeName, b: NodeName): boolean {
  return a === b || (a.tenantId === b.tenantId && a.blName === b.blName && a.deviceId === b.deviceId);
}

/** `tenant/bl/device`, for people. Parts may contain "/", so this is no key. */
export function formatNode(node: NodeName): string {
  return `${node.tenantId}/${node.blName}/${node.deviceId}`;
}

function invalidName(field: string, state: string, wish: string): BusError {
  return new BusError("invalid_argument", `Cannot use ${field}: ${state}; ${wish}`, { field });
}

/** The topic under which the state of a peer as a whole is recorded, beside those of its logs: no topic is empty. */
export const PEER_ITSELF = "";
