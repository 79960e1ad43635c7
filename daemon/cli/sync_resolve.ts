import type { ForkDecision, NodeId, ResolvedFork } from "@msgbus/sdk";
import { Argument, type Command } from "commander";
import { nodeArgument } from "./arguments.ts";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printable } from "./payload_view.ts";
import { nodeRecord, nodeText } from "./printer.ts";

interface ResolveFlags {
  readonly peer: string;
  readonly origin: NodeId;
  readonly topic?: string;
}

const HELP = `
adopt   take the peer's log; the one here is set aside, and can be read as before
refuse  keep the one here, and copy no more of this log from this peer
`;

/** `sync resolve`: what to do about logs that are forked. */
export function addSyncResolve(sync: Command, invocation: Invocation): void {
  const command = clientCommand(sync, "resolve", "Decide about logs that are forked, as the list shows them")
    .addArgument(new Argument("<decision>", "whose log to go on with").choices(["adopt", "refuse"]))
    .requiredOption("--peer <endpoint>", "The peer, as the list shows it")
    .requiredOption("--origin <tenant/bl/device>", "The daemon whose log is forked", nodeArgument)
    .option("--topic <topic>", "The log's topic [default: all forked logs of the origin]")
    .addHelpText("after", HELP);
  command.action((decision: ForkDecision) =>
    withClient(command, invocation, async ({ client, printer }) => {
      const { peer, origin, topic } = command.opts<ResolveFlags>();
      const forks = await client.resolveFork({
        peer,
        origin,
        decision,
        ...(topic !== undefined && { topic }),
      });
      await printer.print(forks.map((fork) => ({
        record: {
          schema: "msgbus.resolved_fork/1",
          peer,
          topic: fork.topic,
          origin: nodeRecord(fork.origin),
          decision,
          archive: fork.archive ?? null,
        },
        text: `${textOf(fork, decision, peer)}\n`,
      })));
    })
  );
}

function textOf({ topic, origin, archive }: ResolvedFork, decision: ForkDecision, peer: string): string {
  const log = `${printable(topic)} of ${nodeText(origin)}`;
  if (decision === "refuse") {
    return `refused ${log}: the log here stays, and is not copied from ${printable(peer)} any more`;
  }
  if (archive === undefined) {
    return `adopted ${log}: nothing was set aside, the log here is the beginning of the peer's`;
  }
  const node = `${origin.tenantId}/${origin.blName}/${origin.deviceId}`;
  const read = ["fetch", topic, "--origin", node, "--archive", archive].map(shellWord).join(" ");
  return `adopted ${log}: the log that was here is set aside; to read it: msgbusd ${read}`;
}

/** The text as one word of a shell's command line. */
function shellWord(text: string): string {
  return /^[\w.,:@%+=/-]+$/.test(text) ? text : `'${printable(text).replaceAll("'", "'\\''")}'`;
}
