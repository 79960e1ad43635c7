/** Bytes of the secret part: as hard to guess as a key. */
const SECRET_BYTES = 32;
const ID_BYTES = 6;
const TOKEN = /^msgbus_([0-9a-f]{12})_[A-Za-z0-9_-]{43}$/;

/** A token that was just made: `text` is for its owner and is kept nowhere. */
export interface NewToken {
  /** Tells which entry it belongs to; no secret. */
  readonly id: string;
  /** `msgbus_`, the id, `_`, and 32 random bytes in base64url. */
  readonly text: string;
}

/** Makes a token. `random` fills the array with random bytes. */
export function newToken(random: (into: Uint8Array<ArrayBuffer>) => void): NewToken {
  const idBytes = new Uint8Array(ID_BYTES);
  const secret = new Uint8Array(SECRET_BYTES);
  random(idBytes);
  random(secret);
  const id = idBytes.toHex();
  return { id, text: `msgbus_${id}_${secret.toBase64({ alphabet: "base64url", omitPadding: true })}` };
}

/** The id in a token; undefined when the text has not the form of a token. */
export function tokenId(text: string): string | undefined {
  return TOKEN.exec(text)?.[1];
}
