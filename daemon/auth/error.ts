/** The file of tokens can't be read or written, or is wrong. The message says what to do. */
export class AuthFileError extends Error {
  override readonly name = "AuthFileError";
}
