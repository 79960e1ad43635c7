import type { PeerState, PeerSyncState } from "@msgbus/sdk";
import type { Command } from "commander";
import { clientCommand, withClient } from "./client_command.ts";
import type { Invocation } from "./invocation.ts";
import { printable } from "./payload_view.ts";
import { type JsonRecord, nodeRecord, nodeText, timeText } from "./printer.ts";
import { addSyncArchives } from "./sync_archives.ts";
import { addSyncResolve } from "./sync_resolve.ts";
import { table } from "./table.ts";

const PEER_COLUMNS = [
  "PEER",
  "NODE",
  "MODE",
  "LOGS BEHIND",
  "MESSAGES BEHIND",
  "LAST SUCCESS",
  "FAILURES",
  "ERROR",
];
const LOG_COLUMNS = [
  "PEER",
  "TOPIC",
  "ORIGIN",
  "LOCAL",
  "REMOTE",
  "LAG",
  "LAST SUCCESS",
  "FAILURES",
  "FORK",
  "ERROR",
];

/** `sync`: how far the daemon has copied its peers' logs, and what to do where that can't go on. */
export function addSync(program: Command, invocation: Invocation): void {
  const sync = program.command("sync").description(
    "Look at the synchronization with peers, and decide about forks",
  );
  addList(sync, invocation);
  addSyncResolve(sync, invocation);
  addSyncArchives(sync, invocation);
}

function addList(sync: Command, invocation: Invocation): void {
  const description =
    "List the peers, and how far each of their logs is copied; meant where no command is given";
  const command = clientCommand(sync, "list", description, { isDefault: true });
  command.action(() =>
    withClient(command, invocation, async ({ client, printer }) => {
      const [peers, states] = await Promise.all([client.peers(), client.syncStates()]);
      const tables = [table(PEER_COLUMNS, peers.map(peerRow)), table(LOG_COLUMNS, states.map(logRow))];
      await printer.printAll([...peers.map(peerRecord), ...states.map(logRecord)], tables.join("\n"));
    })
  );
}

function peerRow(state: PeerState): (string | number)[] {
  return [
    printable(state.peer),
    state.node === undefined ? "unknown" : nodeText(state.node),
    state.mode,
    state.logsBehind,
    state.messagesBehind,
    timeText(state.lastSuccessAtMs),
    state.consecutiveFailures,
    printable(state.lastError),
  ];
}

function logRow(state: PeerSyncState): (string | number)[] {
  return [
    printable(state.peer),
    printable(state.topic),
    nodeText(state.origin),
    state.localHead,
    state.remoteHead,
    lagOf(state),
    timeText(state.lastSuccessAtMs),
    state.consecutiveFailures,
    state.fork === "none" ? "" : state.fork,
    printable(state.lastError),
  ];
}

/** Messages that the peer has and the daemon lacks. */
function lagOf({ localHead, remoteHead }: PeerSyncState): number {
  return Math.max(0, remoteHead - localHead);
}

function peerRecord(state: PeerState): JsonRecord {
  return {
    schema: "msgbus.peer_state/1",
    peer: state.peer,
    node: state.node === undefined ? null : nodeRecord(state.node),
    incarnation: state.incarnation,
    mode: state.mode,
    logs_behind: state.logsBehind,
    messages_behind: state.messagesBehind,
    last_attempt_at_ms: state.lastAttemptAtMs,
    last_success_at_ms: state.lastSuccessAtMs,
    consecutive_failures: state.consecutiveFailures,
    last_error: state.lastError,
  };
}

function logRecord(state: PeerSyncState): JsonRecord {
  return {
    schema: "msgbus.peer_sync_state/1",
    peer: state.peer,
    topic: state.topic,
    origin: nodeRecord(state.origin),
    local_head: state.localHead,
    remote_head: state.remoteHead,
    lag: lagOf(state),
    last_synced_head: state.lastSyncedHead,
    last_attempt_at_ms: state.lastAttemptAtMs,
    last_success_at_ms: state.lastSuccessAtMs,
    consecutive_failures: state.consecutiveFailures,
    last_error: state.lastError,
    local_incarnation: state.localIncarnation,
    remote_incarnation: state.remoteIncarnation,
    fork: state.fork,
  };
}
