import type { Command } from "commander";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printable } from "./payload_view.ts";
import { nodeRecord, nodeText } from "./printer.ts";
import { table } from "./table.ts";

/** `sync archives`: the logs that were set aside when forks were resolved. */
export function addSyncArchives(sync: Command, invocation: Invocation): void {
  const description = "List the logs that were set aside; fetch --archive reads them";
  const command = clientCommand(sync, "archives", description);
  command.action(() =>
    withClient(command, invocation, async ({ client, printer }) => {
      const logs = await client.archivedLogs();
      await printer.printAll(
        logs.map(({ topic, origin, headId, archive }) => ({
          schema: "msgbus.archived_log/1",
          topic,
          origin: nodeRecord(origin),
          head_id: headId,
          archive,
        })),
        table(
          ["TOPIC", "ORIGIN", "HEAD", "ARCHIVE"],
          logs.map(({ topic, origin, headId, archive }) => [
            printable(topic),
            nodeText(origin),
            headId,
            printable(archive),
          ]),
        ),
      );
    })
  );
}
