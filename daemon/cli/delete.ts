import type { Command } from "commander";
import { headArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printable } from "./payload_view.ts";

/** `delete`: deletes a range of messages. */
export function addDelete(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "delete", "Erase the messages of a range; they keep their places")
    .argument("<topic>", "the topic")
    .argument("<from>", "first head", headArgument)
    .argument("<to>", "last head, itself included", headArgument);
  command.action((topic: string, from: number, to: number) =>
    withClient(command, invocation, async ({ client, printer }) => {
      const count = await client.deleteRange(topic, { from, to });
      await printer.print([{
        record: {
          schema: "msgbus.deletion/1",
          topic,
          from_head_id: from,
          to_head_id: to,
          deleted_count: count,
        },
        text: `deleted ${count} of ${printable(topic)} #${from} to #${to}\n`,
      }]);
    })
  );
}
