import type { Command } from "commander";
import { headerArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { readPayload } from "./payload_source.ts";

/** `pub`: publishes one message. */
export function addPub(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "pub", "Publish a message and print where it stands")
    .argument("<topic>", "the topic")
    .argument("[payload]", "the payload as text; - reads standard input")
    .option("--file <path>", "Take the payload from a file")
    .option("--header <name=value>", "A header; repeatable", headerArgument);
  command.action((topic: string, payload: string | undefined) =>
    withClient(command, invocation, async ({ client, printer, io }) => {
      const { file, header = {} } = command.opts<{ file?: string; header?: Record<string, string> }>();
      const message = await client.publish(topic, await readPayload(io, payload, file), { headers: header });
      await printer.printMessages([message]);
    })
  );
}
