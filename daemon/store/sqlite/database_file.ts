import { StoreError } from "../error.ts";
import { folderOf, statIfThere } from "./paths.ts";
import { APPLICATION_ID, MIGRATIONS, newerSchema } from "./schema.ts";

// The fields of SQLite's database header: https://www.sqlite.org/fileformat.html §1.3
const MAGIC = "SQLite format 3\0";
const HEADER_BYTES = 100;
const USER_VERSION_AT = 60;
const APPLICATION_ID_AT = 68;

// A rollback journal begins with 8 bytes of magic; at 16 it says how many pages the database had before (§3).
const JOURNAL_BYTES = 20;
const JOURNAL_PAGES_AT = 16;

/**
 * Refuses a file that is not ours before SQLite sees it, since SQLite might already write to it on opening. An absent
 * file is fine, and its folder is created (for the owner only).
 */
export function inspectDatabaseFile(path: string): void {
  let size: number | undefined;
  try {
    const stat = statIfThere(path);
    if (stat !== undefined && !stat.isFile) throw new Error("it is not a file");
    size = stat?.size;
    if (size === undefined) Deno.mkdirSync(folderOf(path), { recursive: true, mode: 0o700 });
  } catch (error) {
    throw notWritable(path, error);
  }
  // Before our first commit is done the header may be half written: SQLite then empties the file on opening.
  if (size === undefined || size === 0 || journalEmptiesFile(path)) return;
  const header = readStart(path, HEADER_BYTES);
  if (header.byteLength < HEADER_BYTES || !startsWith(header, MAGIC)) {
    throw new StoreError(
      "not_a_database",
      `Cannot open "${path}": it is not a database; name another file or move this one away`,
    );
  }
  const id = header.getUint32(APPLICATION_ID_AT);
  if (id !== APPLICATION_ID) {
    throw new StoreError(
      "not_a_database",
      `Cannot open "${path}": it is a database of another program (application id ${id}); name another file`,
    );
  }
  const version = header.getUint32(USER_VERSION_AT);
  if (version > MIGRATIONS.length) throw newerSchema(path, version, MIGRATIONS.length);
}

export function notWritable(path: string, cause: unknown): StoreError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreError(
    "not_writable",
    `Cannot write "${path}": ${reason}; name a file in a folder that this user may write`,
    { cause },
  );
}

function journalEmptiesFile(path: string): boolean {
  const journal = `${path}-journal`;
  const stat = statIfThere(journal);
  if (stat === undefined || !stat.isFile || stat.size < JOURNAL_BYTES) return false;
  const start = readStart(journal, JOURNAL_BYTES);
  return start.getUint32(0) === 0xd9d505f9 && start.getUint32(4) === 0x20a163d7 &&
    start.getUint32(JOURNAL_PAGES_AT) === 0;
}

function readStart(path: string, count: number): DataView {
  const bytes = new Uint8Array(count);
  try {
    using file = Deno.openSync(path);
    let filled = 0;
    while (filled < count) {
      const read = file.readSync(bytes.subarray(filled));
      if (read === null) break;
      filled += read;
    }
    return new DataView(bytes.buffer, 0, filled);
  } catch (error) {
    throw notWritable(path, error);
  }
}

function startsWith(view: DataView, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (view.getUint8(i) !== text.charCodeAt(i)) return false;
  return true;
}
