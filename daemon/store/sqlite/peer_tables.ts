import type { Fork, PeerCursor, PeerSyncState } from "../store.ts";
import type { Connection } from "./connection.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** The tables `peer_sync_states` and `peer_cursors`. */
export class PeerTables {
  readonly #put: WriteStatement;
  readonly #list: RowStatement<RawState>;
  readonly #putCursor: WriteStatement;
  readonly #cursor: RowStatement<[incarnation: string, sequence: number, opening: string]>;

  constructor({ db }: Connection) {
    this.#put = new WriteStatement(
      db,
      "INSERT OR REPLACE INTO peer_sync_states VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#list = prepareRows(
      db,
      `SELECT peer, topic, tenant_id, bl_name, device_id, local_head, remote_head, last_synced_head,
              last_attempt_at_ms, last_success_at_ms, consecutive_failures, last_error, local_incarnation,
              remote_incarnation, fork
         FROM peer_sync_states ORDER BY peer, topic, tenant_id, bl_name, device_id`,
    );
    this.#putCursor = new WriteStatement(db, "INSERT OR REPLACE INTO peer_cursors VALUES (?, ?, ?, ?)");
    this.#cursor = prepareRows(
      db,
      "SELECT incarnation, sequence, opening FROM peer_cursors WHERE peer = ?",
    );
  }

  put(state: PeerSyncState): void {
    this.#put.run(
      state.peer,
      state.topic,
      state.origin.tenantId,
      state.origin.blName,
      state.origin.deviceId,
      state.localHead,
      state.remoteHead,
      state.lastSyncedHead,
      state.lastAttemptAtMs,
      state.lastSuccessAtMs,
      state.consecutiveFailures,
      state.lastError,
      state.localIncarnation,
      state.remoteIncarnation,
      state.fork,
    );
  }

  putCursor({ peer, incarnation, sequence, opening }: PeerCursor): void {
    this.#putCursor.run(peer, incarnation, sequence, opening);
  }

  cursor(peer: string): PeerCursor | undefined {
    const row = this.#cursor.get(peer);
    if (row === undefined) return undefined;
    const [incarnation, sequence, opening] = row;
    return { peer, incarnation, sequence, opening };
  }

  list(): PeerSyncState[] {
    return this.#list.all().map(([peer, topic, tenantId, blName, deviceId, ...rest]) => {
      const [localHead, remoteHead, lastSyncedHead, lastAttemptAtMs, lastSuccessAtMs, failures, ...last] =
        rest;
      const [lastError, localIncarnation, remoteIncarnation, fork] = last;
      return {
        peer,
        topic,
        origin: { tenantId, blName, deviceId },
        localHead,
        remoteHead,
        lastSyncedHead,
        lastAttemptAtMs,
        lastSuccessAtMs,
        consecutiveFailures: failures,
        lastError,
        localIncarnation,
        remoteIncarnation,
        fork,
      };
    });
  }
}

type RawState = [
  string,
  string,
  string,
  string,
  string,
  number,
  number,
  number,
  number,
  number,
  number,
  string,
  string,
  string,
  Fork,
];
