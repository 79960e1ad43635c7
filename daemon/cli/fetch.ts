import type { NodeId } from "@msgbus/sdk";
import type { Command } from "commander";
import { countArgument, headArgument, nodeArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printStream } from "./print_stream.ts";

/** `fetch`: prints stored messages. */
export function addFetch(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "fetch", "Print stored messages and end")
    .argument("<topic>", "the topic")
    .option("--from <head>", "First head wanted [default: 1]", headArgument)
    .option("--limit <n>", "Most messages wanted [default: all]", countArgument)
    .option(
      "--origin <tenant/bl/device>",
      "The daemon whose log is meant [default: the asked one]",
      nodeArgument,
    )
    .option(
      "--archive <name>",
      "A log that was set aside, as sync archives prints it [default: the log in use]",
    );
  command.action((topic: string) =>
    withClient(command, invocation, async ({ client, printer, io }) => {
      const { from = 1, limit = Infinity, origin, archive } = command.opts<
        { from?: number; limit?: number; origin?: NodeId; archive?: string }
      >();
      const options = { from, limit, ...(origin && { origin }), ...(archive !== undefined && { archive }) };
      await printStream(client.fetch(topic, options), printer, io, limit);
    })
  );
}
