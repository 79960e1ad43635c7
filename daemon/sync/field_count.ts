import { BinaryReader } from "@bufbuild/protobuf/wire";
import { PeerError } from "./peer_link.ts";

/**
 * Throws PeerError "refused" when an encoded message has more fields than `most`, or can't be read: two bytes on the wire
 * may become an object of a hundred.
 */
export function checkFieldCount(bytes: Uint8Array, most: number): void {
  const reader = new BinaryReader(bytes);
  try {
    for (let count = 0; reader.pos < reader.len; count++) {
      if (count === most) throw new PeerError("refused", `the peer's answer has more than ${most} parts`);
      const [field, wireType] = reader.tag();
      reader.skip(wireType, field);
    }
  } catch (error) {
    if (error instanceof PeerError) throw error;
    throw new PeerError("refused", "the peer's answer can't be read", { cause: error });
  }
}
