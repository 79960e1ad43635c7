import type { NodeId } from "@msgbus/sdk";
import type { Command } from "commander";
import { countArgument, nodeArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import { CliError } from "./error.ts";
import type { Invocation } from "./invocation.ts";
import { printStream } from "./print_stream.ts";
import { defaultStatePath, readPulledHead, writePulledHead } from "./pull_state.ts";

/** `pull`: prints what it has not printed before. */
export function addPull(program: Command, invocation: Invocation): void {
  const command = clientCommand(
    program,
    "pull",
    "Print the messages after the last one that pull printed before; nothing new is exit code 1. " +
      "Nothing is removed: the place is kept here, in a small file per topic and origin, and moves on only when the " +
      "messages were written, so that after a crash some may come twice, but none is lost",
  )
    .summary("Print what pull has not printed before; nothing new is exit code 1")
    .argument("<topic>", "the topic")
    .option("--limit <n>", "Most messages wanted [default: all]", countArgument)
    .option(
      "--origin <tenant/bl/device>",
      "The daemon whose log is meant [default: the asked one]",
      nodeArgument,
    )
    .option(
      "--state <file>",
      "Where the place is kept [default: a file in XDG_STATE_HOME or ~/.local/state]",
    );
  command.action((topic: string) =>
    withClient(command, invocation, async ({ client, printer, io }) => {
      const { limit = Infinity, state, origin } = command.opts<
        { limit?: number; state?: string; origin?: NodeId }
      >();
      // The place belongs to a log, not to an address: ask whose log it is.
      const log = { topic, origin: origin ?? (await client.health()).node };
      const path = state ?? await defaultStatePath(io, log);
      const pulled = await readPulledHead(io, path, log);
      const head = await client.head(topic, { origin: log.origin }) ?? 0;
      if (head < pulled) {
        throw new CliError(
          "USAGE",
          `Cannot pull ${
            JSON.stringify(topic)
          }: head ${pulled} was printed before, but the log ends at ${head}; ` +
            `remove ${JSON.stringify(path)} to start again`,
        );
      }
      const stream = client.fetch(topic, { from: pulled + 1, limit, origin: log.origin });
      const printed = await printStream(
        stream,
        printer,
        io,
        limit,
        (lastHead) => writePulledHead(io, path, log, lastHead),
      );
      if (printed === 0) throw new CliError("NOTHING_THERE", `Nothing new in ${JSON.stringify(topic)}`);
    })
  );
}
