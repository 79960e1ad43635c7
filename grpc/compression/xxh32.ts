const PRIMES = [0x9e3779b1, 0x85ebca77, 0xc2b2ae3d, 0x27d4eb2f, 0x165667b1] as const;
const STRIPE_BYTES = 16;

/** XXH32 of bytes with seed 0 (xxHash specification 0.1.1), as an unsigned number. */
export function xxh32(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [p1, p2, p3, p4, p5] = PRIMES;
  let at = 0;
  let hash: number = p5;
  if (bytes.length >= STRIPE_BYTES) {
    let [a, b, c, d] = [p1 + p2 | 0, p2 | 0, 0, -p1 | 0];
    for (; at + STRIPE_BYTES <= bytes.length; at += STRIPE_BYTES) {
      a = round(a, view.getUint32(at, true));
      b = round(b, view.getUint32(at + 4, true));
      c = round(c, view.getUint32(at + 8, true));
      d = round(d, view.getUint32(at + 12, true));
    }
    hash = rotated(a, 1) + rotated(b, 7) + rotated(c, 12) + rotated(d, 18) | 0;
  }
  hash = hash + bytes.length | 0;
  for (; at + 4 <= bytes.length; at += 4) {
    hash = Math.imul(rotated(hash + Math.imul(view.getUint32(at, true), p3) | 0, 17), p4);
  }
  for (; at < bytes.length; at++) {
    hash = Math.imul(rotated(hash + Math.imul(view.getUint8(at), p5) | 0, 11), p1);
  }
  hash = Math.imul(hash ^ hash >>> 15, p2);
  hash = Math.imul(hash ^ hash >>> 13, p3);
  return (hash ^ hash >>> 16) >>> 0;
}

function round(lane: number, word: number): number {
  return Math.imul(rotated(lane + Math.imul(word, PRIMES[1]) | 0, 13), PRIMES[0]);
}

function rotated(word: number, bits: number): number {
  return word << bits | word >>> (32 - bits);
}
