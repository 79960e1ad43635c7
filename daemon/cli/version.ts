import type { Command } from "commander";
import type { Invocation } from "./invocation.ts";
import { Printer } from "./printer.ts";
import { table } from "./table.ts";

/** The version of this program; a test holds it against `deno.json`. */
export const VERSION = "0.1.0";

/** `version`: this program, its runtime and its SQLite. */
export function addVersion(program: Command, invocation: Invocation): void {
  const command = program.command("version")
    .description("Tell the versions of msgbus, of its runtime and of its SQLite")
    .option("--json", "One JSON object, for programs");
  command.action(async () => {
    const versions = [["msgbus", VERSION], ...invocation.io.runtimeVersions()] as const;
    const [head, ...rest] = versions;
    const record = { schema: "msgbus.version/1", ...Object.fromEntries(versions) };
    const printer = new Printer(invocation.io, command.opts<{ json?: true }>().json ?? false);
    await printer.printAll([record], table(head, rest));
  });
}
