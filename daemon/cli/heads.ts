import type { Command } from "commander";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { nodeRecord, nodeText } from "./printer.ts";
import { printable } from "./payload_view.ts";
import { table } from "./table.ts";

/** `heads`: the last head of every log. */
export function addHeads(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "heads", "List the last head of every log");
  command.action(() =>
    withClient(command, invocation, async ({ client, printer }) => {
      const heads = (await client.heads())
        .map((head) => ({ ...head, node: nodeText(head.origin) }))
        .sort((a, b) => compare(a.topic, b.topic) || compare(a.node, b.node));
      await printer.printAll(
        heads.map(({ topic, origin, headId, incarnation }) => ({
          schema: "msgbus.head/1",
          topic,
          origin: nodeRecord(origin),
          head_id: headId,
          incarnation,
        })),
        table(
          ["TOPIC", "ORIGIN", "HEAD"],
          heads.map(({ topic, node, headId }) => [printable(topic), node, headId]),
        ),
      );
    })
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
