import type { Command } from "commander";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { nodeRecord, nodeText } from "./printer.ts";

/** `health`: that the daemon answers, and who it is. */
export function addHealth(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "health", "Tell that the daemon answers, and which node it is");
  command.action(() =>
    withClient(command, invocation, async ({ client, printer }) => {
      const { status, node, incarnation } = await client.health();
      await printer.print([{
        record: { schema: "msgbus.health/1", status, node: nodeRecord(node), incarnation },
        text: `${status} ${nodeText(node)}\n`,
      }]);
    })
  );
}
