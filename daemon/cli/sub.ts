import type { NodeId } from "@msgbus/sdk";
import type { Command } from "commander";
import { countArgument, headOrNowArgument, nodeArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printStream } from "./print_stream.ts";

/** `sub`: follows a topic until it is interrupted. */
export function addSub(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "sub", "Print stored messages, then new ones as they come")
    .argument("<topic>", "the topic")
    .option(
      "--from <head|now>",
      "First head wanted, or now for new messages only [default: 1]",
      headOrNowArgument,
    )
    .option(
      "--origin <tenant/bl/device>",
      "The daemon whose log is meant [default: the asked one]",
      nodeArgument,
    )
    .option("--count <n>", "End after so many messages", countArgument);
  command.action((topic: string) =>
    withClient(command, invocation, async ({ client, printer, io }) => {
      const { from = 1, origin, count = Infinity } = command.opts<
        { from?: number | "now"; origin?: NodeId; count?: number }
      >();
      // A daemon that is not there now is an error; one that goes away later is waited for.
      await client.health();
      const stream = client.subscribe(topic, {
        from,
        ...(origin && { origin }),
        onReconnect: ({ error, delayMs }) => {
          const text = `msgbusd: ${error.message}; trying again in ${Math.ceil(delayMs)} ms\n`;
          // Standard error may be closed: the messages still matter.
          io.stderr.write(text).catch(() => {});
        },
      });
      await printStream(stream, printer, io, count);
    })
  );
}
