import type { StatementSync } from "node:sqlite";
import type { PeerSyncState } from "../store.ts";
import type { Connection } from "./connection.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";

/** The table `peer_sync_states`. */
export class PeerTable {
  readonly #put: StatementSync;
  readonly #list: RowStatement<RawState>;

  constructor({ db }: Connection) {
    this.#put = db.prepare(
      "INSERT OR REPLACE INTO peer_sync_states VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    this.#list = prepareRows(
      db,
      `SELECT peer, topic, tenant_id, bl_name, device_id, local_head, remote_head, last_synced_head,
              last_attempt_at_ms, last_success_at_ms, consecutive_failures, last_error
         FROM peer_sync_states ORDER BY peer, topic, tenant_id, bl_name, device_id`,
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
    );
  }

  list(): PeerSyncState[] {
    return this.#list.all().map(([peer, topic, tenantId, blName, deviceId, ...rest]) => {
      const [localHead, remoteHead, lastSyncedHead, lastAttemptAtMs, lastSuccessAtMs, failures, lastError] =
        rest;
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
];
