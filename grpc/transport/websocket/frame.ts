/** Opcodes (RFC 6455 §5.2). */
export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** Codes of a Close frame (RFC 6455 §7.4.1). */
export const CloseCode = {
  NORMAL: 1000,
  PROTOCOL_ERROR: 1002,
  UNSUPPORTED_DATA: 1003,
  POLICY_VIOLATION: 1008,
} as const;

/** A code of {@linkcode CloseCode}. */
export type CloseCode = typeof CloseCode[keyof typeof CloseCode];

/** A control frame's payload is never longer (RFC 6455 §5.5). */
export const MAX_CONTROL_BYTES = 125;
const MAX_SHORT_BYTES = 125;
const LENGTH_IN_2_BYTES = 126;
const LENGTH_IN_8_BYTES = 127;
const FINAL = 0x80;
const MASKED = 0x80;
const MASK_BYTES = 4;

/** One whole frame. A client gives the four bytes that mask its payload (RFC 6455 §5.3), a server none. */
export function encodeFrame(opcode: number, payload: Uint8Array, mask: Uint8Array | undefined): Uint8Array {
  const { length } = payload;
  const lengthBytes = length <= MAX_SHORT_BYTES ? 0 : length <= 0xffff ? 2 : 8;
  const headerBytes = 2 + lengthBytes + (mask === undefined ? 0 : MASK_BYTES);
  const frame = new Uint8Array(headerBytes + length);
  const view = new DataView(frame.buffer);
  const shortLength = lengthBytes === 0 ? length : lengthBytes === 2 ? LENGTH_IN_2_BYTES : LENGTH_IN_8_BYTES;
  frame[0] = FINAL | opcode;
  frame[1] = (mask === undefined ? 0 : MASKED) | shortLength;
  if (lengthBytes === 2) view.setUint16(2, length);
  if (lengthBytes === 8) view.setBigUint64(2, BigInt(length));
  frame.set(payload, headerBytes);
  if (mask !== undefined) {
    frame.set(mask, headerBytes - MASK_BYTES);
    applyMask(frame.subarray(headerBytes), mask, 0);
  }
  return frame;
}

/** Masks or unmasks in place bytes that stand `position` bytes behind the beginning of their payload. */
export function applyMask(bytes: Uint8Array, mask: Uint8Array, position: number): void {
  const [a = 0, b = 0, c = 0, d = 0] = [0, 1, 2, 3].map((at) => mask[(position + at) % MASK_BYTES]);
  const whole = bytes.length - bytes.length % MASK_BYTES;
  let at = 0;
  for (; at < whole; at += MASK_BYTES) {
    bytes[at] = (bytes[at] ?? 0) ^ a;
    bytes[at + 1] = (bytes[at + 1] ?? 0) ^ b;
    bytes[at + 2] = (bytes[at + 2] ?? 0) ^ c;
    bytes[at + 3] = (bytes[at + 3] ?? 0) ^ d;
  }
  for (; at < bytes.length; at++) bytes[at] = (bytes[at] ?? 0) ^ (mask[(position + at) % MASK_BYTES] ?? 0);
}

/** The payload of a Close frame. */
export function closePayload(code: CloseCode, reason: string): Uint8Array {
  const text = new TextEncoder().encode(reason).subarray(0, MAX_CONTROL_BYTES - 2);
  const payload = new Uint8Array(2 + text.length);
  new DataView(payload.buffer).setUint16(0, code);
  payload.set(text, 2);
  return payload;
}
