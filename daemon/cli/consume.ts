import type { ConsumeFrom, NodeId } from "@msgbus/sdk";
import { type Command, InvalidArgumentError, Option } from "commander";
import { countArgument, headArgument, nodesArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printStream } from "./print_stream.ts";

/** `consume`: the messages of all topics that match, until it is interrupted. */
export function addConsume(program: Command, invocation: Invocation): void {
  const command = clientCommand(
    program,
    "consume",
    "Print the messages of all topics that match, in the order in which the daemon stored them, then new ones",
  )
    .argument("<patterns...>", 'patterns such as "a.*.b" and "a.>", or "a/+/b" and "a/#"; or topics')
    .option(
      "--from <place>",
      "oldest, newest, a head, a time such as 2026-11-21T09:00:00Z, or cursor:TEXT [default: oldest]",
      fromArgument,
    )
    .option(
      "--origin <tenant/bl/device>",
      "Only messages of this daemon; repeatable [default: of all]",
      nodesArgument,
    )
    .option("--skip-deleted", "Leave deleted messages out")
    .option("--stored", "End with what is stored instead of waiting for more")
    .option("--count <n>", "End after so many messages", countArgument)
    .addOption(
      // What --count cuts off would be taken for printed.
      new Option("--cursor", "Say on standard error, at the end, where --from goes on; not with --count")
        .conflicts("count"),
    );
  command.action((patterns: readonly string[]) =>
    withClient(command, invocation, async ({ client, printer, io }) => {
      const {
        from = "oldest",
        origin = [],
        skipDeleted = false,
        stored = false,
        cursor = false,
        count = Infinity,
      } = command.opts<Options>();
      // A daemon that is not there now is an error; one that goes away later is waited for.
      await client.health();
      const stream = client.consume(patterns, {
        from,
        origins: origin,
        skipDeleted,
        follow: !stored,
        onReconnect: ({ error, delayMs }) => {
          const text = `msgbusd: ${error.message}; trying again in ${Math.ceil(delayMs)} ms\n`;
          // Standard error may be closed: the messages still matter.
          io.stderr.write(text).catch(() => {});
        },
      });
      await printStream(stream, printer.withTopics(), io, count);
      if (cursor && stream.cursor !== "") await io.stderr.write(`${CURSOR}${stream.cursor}\n`);
    })
  );
}

interface Options {
  readonly from?: ConsumeFrom;
  readonly origin?: readonly NodeId[];
  readonly skipDeleted?: boolean;
  readonly stored?: boolean;
  readonly cursor?: boolean;
  readonly count?: number;
}

const CURSOR = "cursor:";

function fromArgument(text: string): ConsumeFrom {
  if (text === "oldest" || text === "newest") return text;
  if (text.startsWith(CURSOR)) return { cursor: text.slice(CURSOR.length) };
  if (/^[0-9]+$/.test(text)) return { head: headArgument(text) };
  const time = new Date(text);
  if (/^[0-9]{4}-/.test(text) && !Number.isNaN(time.getTime())) return { time };
  throw new InvalidArgumentError(
    "Give oldest, newest, a head from 1 on, a time in ISO 8601, or cursor:TEXT.",
  );
}
