import type { NodeId } from "@msgbus/sdk";
import type { Command } from "commander";
import { nodeArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import { CliError } from "./error.ts";
import type { Invocation } from "./invocation.ts";

/** `head`: the last head of one log. */
export function addHead(program: Command, invocation: Invocation): void {
  const command = clientCommand(
    program,
    "head",
    "Print the last head of a topic; an unknown one is exit code 1",
  )
    .argument("<topic>", "the topic")
    .option(
      "--origin <tenant/bl/device>",
      "The daemon whose log is meant [default: the asked one]",
      nodeArgument,
    );
  command.action((topic: string) =>
    withClient(command, invocation, async ({ client, printer }) => {
      const { origin } = command.opts<{ origin?: NodeId }>();
      const headId = await client.head(topic, { ...(origin && { origin }) });
      if (headId === undefined) throw new CliError("NOTHING_THERE", `No message in ${JSON.stringify(topic)}`);
      await printer.print([{
        record: { schema: "msgbus.topic_head/1", topic, head_id: headId },
        text: `${headId}\n`,
      }]);
    })
  );
}
