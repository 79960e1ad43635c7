/** Messages are in no chunk that must be in one. */
export class MissingMessagesError extends Error {
  override readonly name = "MissingMessagesError";

  /** The head or sequence of the first one. */
  constructor(at: number) {
    super(`Cannot read message ${at}: it is in no chunk`);
  }
}
