import type { CliIo } from "./io.ts";
import { readConfig } from "../config/read_config.ts";
import { ALL_SETTINGS } from "../config/settings.ts";

/** The texts given for each flag of the daemon, in their order. */
export type ServeFlags = ReadonlyMap<string, readonly string[]>;

/**
 * The flags of a command line that does nothing but start the daemon: `serve` or no word, then flags of the daemon with
 * their values. Undefined for every other one, which is for the parser of the command line. The parser and what it
 * imports of Node cost a daemon about 5 MB for as long as it runs, so a daemon that is started the plain way never loads it.
 */
export function plainServeFlags(argv: readonly string[]): ServeFlags | undefined {
  const flags = new Map<string, readonly string[]>();
  const words = argv[0] === "serve" ? argv.slice(1) : argv;
  for (let at = 0; at < words.length; at++) {
    const word = words[at] ?? "";
    const cut = word.indexOf("=");
    const flag = cut === -1 ? word : word.slice(0, cut);
    const setting = ALL_SETTINGS.find((candidate) => candidate.flag === flag);
    if (setting === undefined) return undefined;
    if (setting.argument === undefined && cut === -1) {
      flags.set(flag, ["true"]);
      continue;
    }
    if (setting.argument === undefined) return undefined;
    const text = cut === -1 ? words[++at] : word.slice(cut + 1);
    // A flag where a value is due may be a slip: what to make of it is the parser's business.
    if (text === undefined || (cut === -1 && text.startsWith("-"))) return undefined;
    flags.set(flag, [...flags.get(flag) ?? [], text]);
  }
  return flags;
}

/** Runs the daemon with the flags; settles with the exit code when it has stopped. Throws ConfigError. */
export async function serve(flags: ServeFlags, io: CliIo): Promise<number> {
  const config = readConfig({
    flags,
    env: (name) => io.env(name),
    whyUnreadable: (path) => io.files.whyUnreadable(path),
  });
  return await io.startDaemon(config);
}
