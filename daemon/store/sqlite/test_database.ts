import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { NODE_A, testMessage } from "../contract.ts";
import {
  type Appended,
  type AppendingProducer,
  type DedupLimits,
  DEFAULT_DEDUP_LIMITS,
  type LogName,
  type NewMessage,
  type OnceMessage,
  type OnceOutcome,
  type Opening,
  type ProducerName,
  type ProducerPlace,
  type Replicated,
  type ReplicatedBatch,
  type SequenceFilter,
  type SequencePage,
} from "../store.ts";
import {
  type AnswerReader,
  readAnswer,
  readAppended,
  readDeletion,
  readNothing,
  readOptionalSequence,
  readOutcomes,
  readPage,
  readProducerPlace,
  readReplicated,
  readSequencePage,
  readText,
} from "./answer.ts";
import { ByteReader } from "./byte_reader.ts";
import { ByteWriter } from "./byte_writer.ts";
import type { ConnectionPorts, Durability } from "./connection.ts";
import { Database } from "./database.ts";
import { FRAME_LENGTH_BYTES } from "./frame.ts";
import type { WriteRequest } from "./request.ts";
import { RequestReader } from "./request_reader.ts";
import { RequestWriter } from "./request_writer.ts";

const PLENTY = { messages: 100_000, bytes: 1 << 30 };

/** A database without its thread: every call is answered at once, in a commit of its own. */
export class TestDatabase {
  readonly path: string;
  readonly #database: Database;
  readonly #requests = new RequestWriter();
  readonly #logs = new Map<number, LogName>();
  readonly #reader: RequestReader;

  /** `maxPages`: pages of 4,096 bytes that the file may have. */
  constructor(
    path: string,
    ports: Partial<ConnectionPorts> = {},
    maxPages = 1 << 20,
    dedup: DedupLimits = DEFAULT_DEDUP_LIMITS,
    durability: Durability = "normal",
  ) {
    this.path = path;
    this.#database = new Database({ path, durability, maxPages, dedup }, ports);
    this.#reader = new RequestReader(this.#database.logs);
  }

  get incarnation(): string {
    return this.#database.incarnation;
  }

  get opening(): Opening {
    return this.#database.logs.opening;
  }

  get erasureDue(): boolean {
    return this.#database.erasureDue;
  }

  lastOf(opening: string): number | undefined {
    return this.#call(this.#requests.named("lastOf", 1, opening), readOptionalSequence);
  }

  append(...batch: NewMessage[]): Appended[] {
    return this.#call(this.#requests.append(1, batch), readAppended);
  }

  appendOnce(batch: OnceMessage[], producer?: AppendingProducer): readonly OnceOutcome[] {
    return this.#call(this.#requests.appendOnce(1, batch, producer), readOutcomes);
  }

  openProducer(name: ProducerName, epoch: number, nowMs: number): ProducerPlace {
    return this.#call(this.#requests.openProducer(1, name, epoch, nowMs), readProducerPlace);
  }

  deleteRange(from: number, to: number) {
    return this.#call(
      this.#requests.deleteRange(1, "t", NODE_A, from, to, testMessage("deletes", "m")),
      readDeletion,
    );
  }

  read(topic: string, from = 1, limits = PLENTY) {
    return this.#call(this.#requests.read(1, topic, NODE_A, from, limits), readPage);
  }

  readAll(from: number, filter: SequenceFilter, limits = PLENTY): SequencePage {
    return this.#call(
      this.#requests.readAll(1, from, filter, limits),
      (body) => readSequencePage(body, this.#logs),
    );
  }

  replicate(batch: ReplicatedBatch): Replicated {
    return this.#call(this.#requests.replicate(1, batch), readReplicated);
  }

  /** Applies calls that wait together. Says how many of them each commit took. */
  together(...calls: ((requests: RequestWriter) => Uint8Array)[]): number[] {
    const waiting: WriteRequest[] = [];
    for (const encode of calls) {
      const request = this.#reader.read(new Uint8Array(encode(this.#requests)).subarray(FRAME_LENGTH_BYTES));
      if (request.kind === "write") waiting.push(request.request);
    }
    const counts: number[] = [];
    while (waiting.length > 0) {
      const count = this.#database.commit(waiting, new ByteWriter());
      waiting.splice(0, count);
      counts.push(count);
    }
    return counts;
  }

  archive(topic: string): string {
    return this.#call(this.#requests.archive(1, topic, NODE_A, false), readText);
  }

  check(): void {
    this.#call(this.#requests.plain("check", 1), readNothing);
  }

  checkpointIfDue(): void {
    this.#database.checkpointIfDue();
  }

  /** Names and heads of the logs set aside. */
  get archived(): string[] {
    return [...this.#database.logs.archived()].map(({ name, log }) => `${name} ${log.head}`).sort();
  }

  /** Topics and incarnations. */
  get incarnations(): string[] {
    return [...this.#database.logs.tails()].map((log) => `${log.topic} ${log.incarnation}`).sort();
  }

  /** Topics and heads. */
  get heads(): string[] {
    return [...this.#database.logs.tails()].map(({ topic, head }) => `${topic} ${head}`).sort();
  }

  close(): void {
    this.#database.close();
  }

  /** The topic, the first head and the count of each chunk; to be asked when the database is closed. */
  get chunks(): string[] {
    const db = new DatabaseSync(this.path, { readOnly: true });
    const rows = db.prepare("SELECT topic, first_head, count FROM chunks JOIN logs USING (log)").all();
    db.close();
    return rows.map(({ topic, first_head, count }) => `${topic} ${first_head} ${count}`);
  }

  /** How many ranges are remembered for messages yet to come; to be asked when the database is closed. */
  get remembered(): number {
    const db = new DatabaseSync(this.path, { readOnly: true });
    const count = db.prepare("SELECT count(*) AS count FROM deletes").get()?.count;
    db.close();
    return Number(count);
  }

  /** Copies the files as a process leaves them that is killed now; says the path. */
  killed(path: string): string {
    for (const suffix of ["", "-wal"]) {
      if (existsSync(this.path + suffix)) copyFileSync(this.path + suffix, path + suffix);
    }
    return path;
  }

  /** Whether the text is in one of the files. */
  holds(text: string): boolean {
    return ["", "-wal"].some((suffix) =>
      existsSync(this.path + suffix) && readFileSync(this.path + suffix, "latin1").includes(text)
    );
  }

  #call<T>(frame: Uint8Array, decode: AnswerReader<T>): T {
    const request = this.#reader.read(frame.slice(FRAME_LENGTH_BYTES));
    const to = new ByteWriter();
    if (request.kind === "write") this.#database.commit([request.request], to);
    if (request.kind === "read") this.#database.answer(request.request, to);
    const body = new ByteReader(to.written.slice(FRAME_LENGTH_BYTES));
    const { error } = readAnswer(body);
    if (error !== undefined) throw error;
    return decode(body);
  }
}

/** A disk that has no space for the checkpoints whose numbers (from 1 on) `fails` names, and a clock. */
export class FullDisk implements Partial<ConnectionPorts> {
  fails: (checkpoint: number) => boolean = () => false;
  now = 0;
  checkpoints = 0;

  readonly clock = () => this.now;
  readonly checkpoint = (statement: { all(): unknown }) => {
    if (this.fails(++this.checkpoints)) {
      throw Object.assign(new Error("from SQLite"), { code: "ERR_SQLITE_ERROR", errcode: 13 });
    }
    statement.all();
  };
}
