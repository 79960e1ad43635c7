import type { FetchRequest, SubscribeRequest } from "../bus/requests.ts";
import type { NodeName } from "../store/store.ts";
import { readNodeName } from "./node_id.ts";
import { unreadableRequest } from "./unreadable_request.ts";
import { WireReader } from "./wire_reader.ts";

/** Tags that FetchRequest and SubscribeRequest have in common: field number × 8 + wire type. */
const TOPIC = 0x0a;
const ORIGIN = 0x12;
const FROM_HEAD_ID = 0x18;
/** `limit` of the one, `replay_limit` of the other. */
const LIMIT = 0x20;
/** The fields of SubscribeRequest end with this one. */
const LIMIT_FIELD = 4;
/** Of FetchRequest alone, and its last. */
const ARCHIVE = 0x2a;
const ARCHIVE_FIELD = 5;

/** A FetchRequest of the wire. */
export interface WireFetchRequest extends FetchRequest {
  /** The name of a log that was set aside; "" for the log in use. */
  readonly archive: string;
}

/**
 * Reads a FetchRequest from its wire bytes. By hand, as {@link readSubscribeRequest}, so that a daemon whose clients
 * publish, fetch and subscribe holds no codec in memory; `log_request_test.ts` holds both against the generated code.
 * Throws StatusError INVALID_ARGUMENT.
 */
export function readFetchRequest(bytes: Uint8Array): WireFetchRequest {
  return readAs("msgbus.v1.FetchRequest", bytes, ARCHIVE_FIELD);
}

/** Reads a SubscribeRequest from its wire bytes. Throws StatusError INVALID_ARGUMENT. */
export function readSubscribeRequest(bytes: Uint8Array): SubscribeRequest {
  const { topic, origin, fromHeadId, limit } = readAs("msgbus.v1.SubscribeRequest", bytes, LIMIT_FIELD);
  return { topic, origin, fromHeadId, pageSize: limit };
}

function readAs(typeName: string, bytes: Uint8Array, lastField: number): WireFetchRequest {
  try {
    return read(new WireReader(bytes), lastField);
  } catch (error) {
    throw unreadableRequest(typeName, error);
  }
}

function read(reader: WireReader, lastField: number): WireFetchRequest {
  let topic = "";
  let origin: NodeName | undefined;
  let fromHeadId = 0;
  let limit = 0;
  let archive = "";
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === TOPIC) topic = reader.string();
    else if (tag === ORIGIN) origin = readNodeName(reader.bytes(), origin);
    else if (tag === FROM_HEAD_ID) fromHeadId = reader.number();
    else if (tag === LIMIT) limit = reader.uint32();
    else if (tag === ARCHIVE && lastField === ARCHIVE_FIELD) archive = reader.string();
    else reader.skipUnknown(tag, lastField);
  }
  return { topic, origin, fromHeadId, limit, archive };
}
