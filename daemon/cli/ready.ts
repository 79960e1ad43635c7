import type { Command } from "commander";
import { clientCommand, withClient } from "./client_command.ts";
import { ExitCode } from "./exit_code.ts";
import type { Invocation } from "./invocation.ts";
import { printable } from "./payload_view.ts";
import { nodeRecord, nodeText } from "./printer.ts";

/** `ready`: whether the daemon's store answers; for health checks of containers. */
export function addReady(program: Command, invocation: Invocation): void {
  const command = clientCommand(
    program,
    "ready",
    "Tell whether the daemon's store answers; if not, exit code 1",
  );
  command.action(() =>
    withClient(command, invocation, async ({ client, printer }) => {
      const { ready, status, error, node, durability } = await client.ready();
      // Whoever gave up durability sees it whenever he looks.
      const less = durability === "" || durability === "full" ? "" : `, durability ${printable(durability)}`;
      await printer.print([{
        record: { schema: "msgbus.readiness/1", ready, status, error, node: nodeRecord(node), durability },
        text: `${status} ${nodeText(node)}${less}${ready ? "" : `: ${printable(error)}`}\n`,
      }]);
      return ready ? ExitCode.OK : ExitCode.NEGATIVE;
    })
  );
}
