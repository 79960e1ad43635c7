import { HpackError } from "./error.ts";
import { END_OF_STRING, HUFFMAN_CODE } from "./huffman_code.ts";
import { latin1FromBytes } from "./latin1.ts";

// The decoder is a machine that takes four bits a step. A state is an inner node of the code tree, 256 of
// them; an entry of TRANSITIONS holds the symbol completed by the step (bits 0-7), the flags below, and the
// next state (bits 16-23). Four bits never complete two symbols, for the shortest code has five.
const HAS_SYMBOL = 1 << 8;
/** The step read the end-of-string symbol. */
const FAILS = 1 << 9;
/** The input may end here: what is left over is at most 7 bits, all ones (RFC 7541 §5.2). */
const MAY_END = 1 << 10;
const STATE_SHIFT = 16;

const CODES = new Uint32Array(256);
const CODE_BITS = new Uint8Array(256);
for (const { symbol, code, bits } of HUFFMAN_CODE) {
  if (symbol === END_OF_STRING) continue;
  CODES[symbol] = code;
  CODE_BITS[symbol] = bits;
}

const TRANSITIONS = buildTransitions();

/** Codes longer than this do not fit into 32 bits together with the up to 7 bits waiting before them. */
const MAX_CODE_BITS_AT_ONCE = 24;

/** Room for the strings of nearly all headers; a longer one gets a buffer of its own. */
const SCRATCH = new Uint8Array(512);

/** A node of the code tree: two children, each an inner node or a symbol. */
interface TreeNode {
  readonly state: number;
  /** What has been read since the last symbol is at most 7 bits, all ones. */
  readonly mayEnd: boolean;
  readonly children: [TreeNode | number | undefined, TreeNode | number | undefined];
}

function buildTransitions(): Uint32Array {
  const nodes = buildTree();
  const [root] = nodes;
  const transitions = new Uint32Array(nodes.length << 4);
  for (const from of nodes) {
    for (let nibble = 0; nibble < 16; nibble += 1) {
      let node = from;
      let entry = 0;
      for (let bit = 3; bit >= 0; bit -= 1) {
        const child = node.children[((nibble >> bit) & 1) === 0 ? 0 : 1];
        if (typeof child === "object") {
          node = child;
        } else {
          entry |= child === undefined || child === END_OF_STRING ? FAILS : HAS_SYMBOL | child;
          node = root;
        }
      }
      if (node.mayEnd) entry |= MAY_END;
      transitions[(from.state << 4) | nibble] = entry | (node.state << STATE_SHIFT);
    }
  }
  return transitions;
}

function buildTree(): [TreeNode, ...TreeNode[]] {
  const root: TreeNode = { state: 0, mayEnd: true, children: [undefined, undefined] };
  const nodes: [TreeNode, ...TreeNode[]] = [root];
  for (const { symbol, code, bits } of HUFFMAN_CODE) {
    let node = root;
    for (let bit = bits - 1; bit > 0; bit -= 1) {
      const side = ((code >> bit) & 1) === 0 ? 0 : 1;
      let child = node.children[side];
      if (typeof child !== "object") {
        const depth = bits - bit;
        child = {
          state: nodes.length,
          mayEnd: node.mayEnd && side === 1 && depth <= 7,
          children: [undefined, undefined],
        };
        node.children[side] = child;
        nodes.push(child);
      }
      node = child;
    }
    node.children[(code & 1) === 0 ? 0 : 1] = symbol;
  }
  return nodes;
}

/**
 * Decodes the Huffman string in the octets from `start` to `end`.
 *
 * Work and memory are linear in the input: a symbol takes at least five bits.
 *
 * @throws {HpackError} RFC 7541 §5.2: padding above 7 bits or not all ones, or the end-of-string symbol
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number): string {
  const maxSymbols = Math.floor((end - start) * 8 / 5);
  const out = maxSymbols <= SCRATCH.length ? SCRATCH : new Uint8Array(maxSymbols);
  let length = 0;
  let entry = MAY_END;
  for (let at = start; at < end; at += 1) {
    const octet = bytes[at] ?? 0;
    entry = TRANSITIONS[((entry >>> STATE_SHIFT) << 4) | (octet >>> 4)] ?? FAILS;
    const failedHigh = entry & FAILS;
    if ((entry & HAS_SYMBOL) !== 0) out[length++] = entry;
    entry = TRANSITIONS[((entry >>> STATE_SHIFT) << 4) | (octet & 0xf)] ?? FAILS;
    if ((entry & HAS_SYMBOL) !== 0) out[length++] = entry;
    if (((entry | failedHigh) & FAILS) !== 0) {
      throw new HpackError("Cannot decode Huffman string: it holds the end-of-string symbol");
    }
  }
  if ((entry & MAY_END) === 0) {
    throw new HpackError("Cannot decode Huffman string: its padding is not at most 7 bits of ones");
  }
  return latin1FromBytes(out, 0, length);
}

/**
 * Octets that the byte string `text` takes when Huffman coded.
 *
 * @throws {RangeError} `text` has a character above U+00FF
 */
export function huffmanLength(text: string): number {
  let bits = 0;
  let seen = 0;
  for (let at = 0; at < text.length; at += 1) {
    const octet = text.charCodeAt(at);
    seen |= octet;
    bits += CODE_BITS[octet & 0xff] ?? 0;
  }
  if (seen > 0xff) throw new RangeError("Cannot encode string: a character is above U+00FF, not an octet");
  return (bits + 7) >>> 3;
}

/**
 * Writes the byte string `text`, Huffman coded, to `out` at `offset`; huffmanLength says the room it takes.
 */
export function encodeHuffman(text: string, out: Uint8Array, offset: number): void {
  let pending = 0;
  let pendingBits = 0;
  let at = offset;
  for (let index = 0; index < text.length; index += 1) {
    const octet = text.charCodeAt(index);
    let code = CODES[octet] ?? 0;
    let bits = CODE_BITS[octet] ?? 0;
    if (bits > MAX_CODE_BITS_AT_ONCE) {
      bits -= 8;
      pending = (pending << 8) | (code >>> bits);
      out[at++] = pending >>> pendingBits;
      code &= (1 << bits) - 1;
    }
    pending = (pending << bits) | code;
    pendingBits += bits;
    while (pendingBits >= 8) {
      pendingBits -= 8;
      out[at++] = pending >>> pendingBits;
    }
  }
  if (pendingBits > 0) out[at] = (pending << (8 - pendingBits)) | (0xff >>> pendingBits);
}
