import { type AuthFile, parseAuthFile } from "./auth_file.ts";
import { AuthFileError } from "./error.ts";

/** Bytes of a file of tokens: some 10,000 of them fit. */
const MAX_FILE_BYTES = 16_777_216;
/** Whoever else may write the file may give themselves every right. */
const WRITABLE_BY_OTHERS = 0o022;

/** What a file of tokens holds, and what the operator should know of it, one line each. */
export interface LoadedAuthFile {
  readonly file: AuthFile;
  readonly warnings: readonly string[];
}

/** Reads a file of tokens. Throws AuthFileError. */
export async function loadAuthFile(path: string): Promise<LoadedAuthFile> {
  let text: string;
  let mode: number | null;
  try {
    const info = await Deno.stat(path);
    if (info.size > MAX_FILE_BYTES) {
      throw new AuthFileError(`Cannot use "${path}": it has ${info.size} bytes, limit is ${MAX_FILE_BYTES}`);
    }
    mode = info.mode;
    text = await Deno.readTextFile(path);
  } catch (cause) {
    if (cause instanceof AuthFileError) throw cause;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new AuthFileError(`Cannot read --auth-file "${path}": ${reason}`, { cause });
  }
  const file = parseAuthFile(text, path);
  const warnings: string[] = [];
  if (mode !== null && (mode & WRITABLE_BY_OTHERS) !== 0) {
    const octal = (mode & 0o777).toString(8).padStart(3, "0");
    warnings.push(
      `--auth-file "${path}" can be written by others than its owner (mode ${octal}); chmod 600 it`,
    );
  }
  if (file.tokens.length + file.certificates.length === 0) {
    warnings.push(
      `--auth-file "${path}" names nobody: nobody may do anything; make a token with "msgbusd token create"`,
    );
  }
  return { file, warnings };
}
