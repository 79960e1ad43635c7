/**
 * What can be published: strings as UTF-8, bytes as they are, everything else as JSON with the header
 * `content-type: application/json`.
 */
export type Payload = string | Uint8Array | number | boolean | null | object;

const encoder = new TextEncoder();
const JSON_TYPE = "application/json";

/** A payload ready to be sent. */
export interface EncodedPayload {
  readonly payload: Uint8Array;
  readonly headers: Record<string, string>;
}

/** Encodes a payload and completes its headers. Throws TypeError for what is neither text, bytes nor JSON. */
export function encodePayload(
  payload: Payload,
  headers: Readonly<Record<string, string>> | undefined,
): EncodedPayload {
  const given = checkedHeaders(headers);
  if (typeof payload === "string") return { payload: encoder.encode(payload), headers: given };
  if (payload instanceof Uint8Array) return { payload, headers: given };
  if (payload instanceof ArrayBuffer || ArrayBuffer.isView(payload)) {
    throw new TypeError("Cannot encode the payload: it is binary, but no Uint8Array; wrap it in one");
  }
  const json = JSON.stringify(payload);
  if (json === undefined) {
    throw new TypeError(
      `Cannot encode the payload: ${typeof payload} has no JSON form; give text, bytes or JSON`,
    );
  }
  const named = Object.keys(given).some((name) => name.toLowerCase() === "content-type");
  return { payload: encoder.encode(json), headers: named ? given : { ...given, "content-type": JSON_TYPE } };
}

function checkedHeaders(headers: Readonly<Record<string, string>> | undefined): Record<string, string> {
  const checked: Record<string, string> = {};
  if (headers === undefined) return checked;
  for (const [name, value] of Object.entries(headers)) {
    if (typeof value !== "string") {
      throw new TypeError(`Cannot use header ${JSON.stringify(name)}: its value is no string; give a string`);
    }
    // Not by assignment: "__proto__" is a name like any other.
    Object.defineProperty(checked, name, { value, enumerable: true, writable: true, configurable: true });
  }
  return checked;
}
