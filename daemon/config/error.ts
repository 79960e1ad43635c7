/** Why a configuration can't be used. */
export type ConfigErrorCode =
  /** A value is malformed or out of its bounds. */
  | "invalid_value"
  /** A setting needs another one that is absent, or contradicts it. */
  | "contradiction"
  /** Other machines would reach plain text, and nobody said that they may. */
  | "insecure"
  /** A file that a setting names can't be read. */
  | "unreadable_file"
  /** A file that a setting names was read, but is not what the setting needs. */
  | "unusable_file"
  /** The setting is well-formed, but this version can't do what it asks. */
  | "not_available";

/** The daemon can't start with these settings. The message is one line that names the flag, the value and a wish. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  /** What kind of error it is. */
  readonly code: ConfigErrorCode;

  /** Makes an error; line breaks of the message become spaces. */
  constructor(code: ConfigErrorCode, message: string) {
    super(message.replace(/[\r\n]+/g, " "));
    this.code = code;
  }
}
