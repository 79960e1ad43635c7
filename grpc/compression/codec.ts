/** Compresses and decompresses whole messages in one encoding. */
export interface Codec {
  /** As `grpc-encoding` names it. */
  readonly name: string;
  /** The compressed form; may be longer than what goes in. */
  compress(message: Uint8Array): Uint8Array;
  /**
   * What was compressed. Throws {@linkcode TooLargeError} as soon as it is certain that more than `maxBytes` would come
   * out, before they are made; throws another error when the input is damaged or cut.
   */
  decompress(compressed: Uint8Array, maxBytes: number): Uint8Array;
}

/** A message would be larger than allowed once decompressed. */
export class TooLargeError extends Error {
  override readonly name = "TooLargeError";

  /** Names the limit in bytes. */
  constructor(maxBytes: number) {
    super(`a message has more than ${maxBytes} bytes when it is decompressed; that is the limit`);
  }
}
