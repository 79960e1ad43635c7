import type { Command } from "commander";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printable } from "./payload_view.ts";
import { nodeRecord, nodeText, timeText } from "./printer.ts";
import { table } from "./table.ts";

const COLUMNS = ["PEER", "TOPIC", "ORIGIN", "LOCAL", "REMOTE", "SYNCED", "LAST SUCCESS", "FAILURES", "ERROR"];

/** `sync`: how far the daemon has copied its peers' logs. */
export function addSync(program: Command, invocation: Invocation): void {
  const command = clientCommand(program, "sync", "List how far each peer's logs are copied");
  command.action(() =>
    withClient(command, invocation, async ({ client, printer }) => {
      const states = await client.syncStates();
      await printer.printAll(
        states.map((state) => ({
          schema: "msgbus.peer_sync_state/1",
          peer: state.peer,
          topic: state.topic,
          origin: nodeRecord(state.origin),
          local_head: state.localHead,
          remote_head: state.remoteHead,
          last_synced_head: state.lastSyncedHead,
          last_attempt_at_ms: state.lastAttemptAtMs,
          last_success_at_ms: state.lastSuccessAtMs,
          consecutive_failures: state.consecutiveFailures,
          last_error: state.lastError,
        })),
        table(
          COLUMNS,
          states.map((state) => [
            printable(state.peer),
            printable(state.topic),
            nodeText(state.origin),
            state.localHead,
            state.remoteHead,
            state.lastSyncedHead,
            timeText(state.lastSuccessAtMs),
            state.consecutiveFailures,
            printable(state.lastError),
          ]),
        ),
      );
    })
  );
}
