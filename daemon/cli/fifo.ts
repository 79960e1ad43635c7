import type { NodeId } from "@msgbus/sdk";
import type { Command } from "commander";
import { headerArgument, nodeArgument } from "./arguments.ts";
import { clientCommand, type ClientSession, withClient } from "./client_command.ts";
import { CliError } from "./error.ts";
import { ExitCode } from "./exit_code.ts";
import type { Invocation } from "./invocation.ts";
import { readPayload } from "./payload_source.ts";

/** `fifo`: what can be done with a queue. */
export function addFifo(program: Command, invocation: Invocation): void {
  const fifo = program.command("fifo").description("Work with FIFO queues");
  addEnqueue(fifo, invocation);
  addPeek(fifo, invocation);
  addAnswer(fifo, invocation, "ack", "Remove the message from the front; another in front is exit code 1");
  addAnswer(
    fifo,
    invocation,
    "reject",
    "Keep the message in front and count it; another in front is exit code 1",
  );
}

function addEnqueue(fifo: Command, invocation: Invocation): void {
  const command = clientCommand(fifo, "enqueue", "Put a message at the end of a queue")
    .argument("<queue>", "the queue")
    .argument("[payload]", "the payload as text; - reads standard input")
    .option("--file <path>", "Take the payload from a file")
    .option("--topic <topic>", "What it is about [default: the queue's name]")
    .option("--target <tenant/bl/device>", "The daemon it is for [default: the asked one]", nodeArgument)
    .option("--header <name=value>", "A header; repeatable", headerArgument);
  command.action((queue: string, payload: string | undefined) =>
    withClient(command, invocation, async ({ client, printer, io }) => {
      const { file, topic, target, header = {} } = command.opts<
        { file?: string; topic?: string; target?: NodeId; header?: Record<string, string> }
      >();
      const message = await client.fifo(queue).enqueue(await readPayload(io, payload, file), {
        headers: header,
        ...(topic !== undefined && { topic }),
        ...(target && { target }),
      });
      await printer.printFifo(message);
    })
  );
}

function addPeek(fifo: Command, invocation: Invocation): void {
  const command = clientCommand(fifo, "peek", "Print the message in front; an empty queue is exit code 1")
    .argument("<queue>", "the queue");
  command.action((queue: string) =>
    withClient(command, invocation, async ({ client, printer }) => {
      const message = await client.fifo(queue).peek();
      if (message === undefined) {
        throw new CliError("NOTHING_THERE", `No message in queue ${JSON.stringify(queue)}`);
      }
      await printer.printFifo(message);
    })
  );
}

function addAnswer(fifo: Command, invocation: Invocation, name: "ack" | "reject", description: string): void {
  const command = clientCommand(fifo, name, description)
    .argument("<queue>", "the queue")
    .argument("<id>", "the message's id, as peek prints it");
  command.action((queue: string, id: string) =>
    withClient(command, invocation, async ({ client, printer }: ClientSession) => {
      const accepted = await client.fifo(queue)[name](id);
      await printer.print([{
        record: { schema: "msgbus.fifo_answer/1", queue, message_id: id, accepted },
        text: accepted ? "accepted\n" : "not accepted: another message is in front, or none\n",
      }]);
      return accepted ? ExitCode.OK : ExitCode.NEGATIVE;
    })
  );
}
