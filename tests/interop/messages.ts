/** What a request of the test service asks for. */
export interface Wishes {
  /** The sizes of the responses, in bytes; one each. */
  readonly sizes?: readonly number[];
  /** The status that ends the call. */
  readonly status?: { readonly code: number; readonly message: string };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const LENGTH_BYTES = 4;

/** A request with its wishes and a body of zeros, `bodyBytes` long. */
export function encodeRequest(wishes: Wishes, bodyBytes = 0): Uint8Array {
  const head = encoder.encode(JSON.stringify(wishes));
  const bytes = new Uint8Array(LENGTH_BYTES + head.length + bodyBytes);
  new DataView(bytes.buffer).setUint32(0, head.length);
  bytes.set(head, LENGTH_BYTES);
  return bytes;
}

/** The wishes of a request and the size of its body. */
export function decodeRequest(bytes: Uint8Array): { readonly wishes: Wishes; readonly bodyBytes: number } {
  const headBytes = new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getUint32(0);
  const head = bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + headBytes);
  return { wishes: JSON.parse(decoder.decode(head)), bodyBytes: bytes.length - LENGTH_BYTES - headBytes };
}

/** A number as the response of a client-streaming call. */
export function encodeSum(sum: number): Uint8Array {
  return encoder.encode(String(sum));
}

/** The number of such a response. */
export function decodeSum(bytes: Uint8Array): number {
  return Number(decoder.decode(bytes));
}

/**
 * The paths of the test service. Empty: no bytes to no bytes. Unary: one response of a size. Input: the sum of the
 * bodies. Output: responses of the sizes. Duplex: the same for each request, in turn. Every call but Empty echoes the
 * metadata of {@linkcode ECHO_HEADER} before its messages and that of {@linkcode ECHO_TRAILER} after them.
 */
export const Path = {
  EMPTY: "/interop.Test/Empty",
  UNARY: "/interop.Test/Unary",
  INPUT: "/interop.Test/Input",
  OUTPUT: "/interop.Test/Output",
  DUPLEX: "/interop.Test/Duplex",
  /** A method that the service does not have. */
  NO_METHOD: "/interop.Test/Nothing",
  /** A service that the server does not have. */
  NO_SERVICE: "/interop.Nothing/Unary",
} as const;

/** Text that comes back before the messages. */
export const ECHO_HEADER = "x-echo-header";
/** Bytes that come back after the messages. */
export const ECHO_TRAILER = "x-echo-trailer-bin";
