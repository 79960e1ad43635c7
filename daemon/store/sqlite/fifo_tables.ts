import type { NodeName } from "../store.ts";
import type { Connection } from "./connection.ts";
import type { StoredId } from "./message_id.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** A message for a queue. */
export interface FifoEntry {
  readonly queue: string;
  readonly id: StoredId;
  readonly topic: string;
  readonly source: NodeName;
  readonly target: NodeName;
  readonly createdAtMs: number;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
}

/** A message in a queue. */
export interface FifoRow extends FifoEntry {
  readonly sequence: number;
  readonly attempts: number;
}

const NO_BYTES = new Uint8Array();

/** The tables `queues` and `fifo`. A queue's row stays when the queue is empty, so that no sequence comes twice. */
export class FifoTables {
  readonly #nextSequence: RowStatement<[queue: number, sequence: number]>;
  readonly #insert: WriteStatement;
  readonly #front: RowStatement<RawFifo>;
  readonly #remove: WriteStatement;
  readonly #reject: WriteStatement;

  constructor({ db }: Connection) {
    this.#nextSequence = prepareRows(
      db,
      `INSERT INTO queues (name, last_sequence) VALUES (?, 1)
         ON CONFLICT (name) DO UPDATE SET last_sequence = last_sequence + 1
         RETURNING queue, last_sequence`,
    );
    this.#insert = new WriteStatement(
      db,
      "INSERT INTO fifo VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)",
    );
    this.#front = prepareRows(
      db,
      `SELECT f.queue, f.sequence, f.id, f.topic, f.source_tenant_id, f.source_bl_name, f.source_device_id,
              f.target_tenant_id, f.target_bl_name, f.target_device_id, f.created_at_ms, f.attempts, f.payload,
              f.headers
         FROM queues q CROSS JOIN fifo f ON f.queue = q.queue
         WHERE q.name = ? ORDER BY f.sequence LIMIT 1`,
    );
    this.#remove = new WriteStatement(db, "DELETE FROM fifo WHERE queue = ? AND sequence = ?");
    this.#reject = new WriteStatement(
      db,
      "UPDATE fifo SET attempts = attempts + 1 WHERE queue = ? AND sequence = ?",
    );
  }

  /** Says the message's sequence. */
  enqueue(entry: FifoEntry): number {
    const { source, target } = entry;
    const [queue, sequence] = this.#nextSequence.get(entry.queue) ?? [0, 0]; // RETURNING always has a row
    this.#insert.run(
      queue,
      sequence,
      entry.id,
      entry.topic,
      source.tenantId,
      source.blName,
      source.deviceId,
      target.tenantId,
      target.blName,
      target.deviceId,
      entry.createdAtMs,
      entry.payload,
      entry.headers.length === 0 ? null : entry.headers,
    );
    return sequence;
  }

  peek(queue: string): FifoRow | undefined {
    const row = this.#front.get(queue);
    if (row === undefined) return undefined;
    const [, sequence, id, topic, sourceTenant, sourceBl, sourceDevice, ...rest] = row;
    const [targetTenant, targetBl, targetDevice, createdAtMs, attempts, payload, headers] = rest;
    return {
      queue,
      sequence,
      id,
      topic,
      source: { tenantId: sourceTenant, blName: sourceBl, deviceId: sourceDevice },
      target: { tenantId: targetTenant, blName: targetBl, deviceId: targetDevice },
      createdAtMs,
      attempts,
      payload,
      headers: headers ?? NO_BYTES,
    };
  }

  ack(queue: string, id: StoredId): boolean {
    return this.#changeFront(queue, id, this.#remove);
  }

  reject(queue: string, id: StoredId): boolean {
    return this.#changeFront(queue, id, this.#reject);
  }

  #changeFront(queue: string, id: StoredId, change: WriteStatement): boolean {
    const row = this.#front.get(queue);
    if (row === undefined || !sameId(row[2], id)) return false;
    change.run(row[0], row[1]);
    return true;
  }
}

type RawNode = [string, string, string];
type RawFifo = [
  number,
  number,
  StoredId,
  string,
  ...RawNode,
  ...RawNode,
  number,
  number,
  Uint8Array,
  Uint8Array | null,
];

function sameId(a: StoredId, b: StoredId): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.every((byte, at) => byte === b[at]);
}
