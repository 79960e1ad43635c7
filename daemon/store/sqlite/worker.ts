/**
 * The entry of the store thread: waits for requests, lets those that are waiting together share a commit, answers.
 * A file of its own, and nobody imports it: as the entry of a worker it would take itself for the main program.
 */
import { StoreError } from "../error.ts";
import { AdaptiveSpin } from "./adaptive_spin.ts";
import { nothing, opened, writeAnswer, writeFailure } from "./answer.ts";
import { ByteWriter } from "./byte_writer.ts";
import { Database } from "./database.ts";
import { FrameReader } from "./frame.ts";
import { FrameMemory } from "./frame_memory.ts";
import {
  CHECKPOINT_RETRY_MS,
  FRAME_MEMORY_BYTES,
  INTAKE_BYTES,
  LONE_CALLS,
  MOST_SPIN_MS,
  READ_TURN_BYTES,
  READ_TURN_MS,
  SHORT_REQUEST_MS,
  WAITING_AWAKE_PAYS,
} from "./limits.ts";
import { messagesOf, type ReadRequest, type WriteRequest } from "./request.ts";
import { RequestReader } from "./request_reader.ts";
import { PipeReader, PipeWriter } from "./shared_pipe.ts";
import { OPEN_CALL, type ThreadStart } from "./thread_start.ts";

/** A read, and how many writes were called before it. */
interface WaitingRead {
  readonly request: ReadRequest;
  readonly afterWrite: number;
}

/** What happens on the store thread, from the first request to the last. */
class StoreThread {
  readonly #pipe: PipeReader;
  readonly #memory = new FrameMemory(FRAME_MEMORY_BYTES);
  readonly #frames: FrameReader;
  readonly #answers: PipeWriter;
  readonly #to = new ByteWriter();
  readonly #database: Database;
  readonly #requests: RequestReader;
  readonly #spin = WAITING_AWAKE_PAYS
    ? new AdaptiveSpin(SHORT_REQUEST_MS, MOST_SPIN_MS)
    : new AdaptiveSpin(0, 0);
  readonly #writes: WriteRequest[] = [];
  /** Where the frame of each of them ends in the memory. */
  readonly #ends: number[] = [];
  readonly #reads: WaitingRead[] = [];
  /** Writes ever taken in, and those of them that were answered. */
  #writesTaken = 0;
  #writesAnswered = 0;
  /** Commits in a row that were of one message. */
  #loneCommits = 0;
  #closeCall: number | undefined;

  constructor(pipe: PipeReader, answers: PipeWriter, database: Database) {
    this.#pipe = pipe;
    this.#frames = new FrameReader(pipe, (length) => this.#memory.take(length));
    this.#answers = answers;
    this.#database = database;
    this.#requests = new RequestReader(database.logs);
  }

  run(): void {
    for (;;) {
      this.#takeIn();
      if (this.#writes.length > 0) this.#commitOnce();
      if (this.#reads.length > 0) this.#answerReads();
      this.#database.checkpointIfDue();
      if (this.#writes.length > 0 || this.#reads.length > 0) continue;
      if (this.#closeCall !== undefined) return this.#close(this.#closeCall);
      this.#awaitRequest();
    }
  }

  #awaitRequest(): void {
    const begin = performance.now();
    // Where several share a commit, others need this processor to send the next ones.
    if (!this.#pipe.spinForBytes(this.#loneCommits >= LONE_CALLS ? this.#spin.ms : 0)) {
      this.#pipe.awaitBytes(this.#database.erasureDue ? CHECKPOINT_RETRY_MS : Infinity);
    }
    this.#spin.waited(performance.now() - begin);
  }

  /** Everything that has arrived, so that it shares the next commit; bounded, since the link is too. */
  #takeIn(): void {
    for (let bytes = 0; bytes < INTAKE_BYTES;) {
      const frame = this.#frames.next();
      if (frame === undefined) return;
      bytes += frame.length;
      const request = this.#requests.read(frame);
      switch (request.kind) {
        case "write":
          this.#writes.push(request.request);
          this.#ends.push(this.#memory.position);
          this.#writesTaken++;
          break;
        case "read":
          this.#reads.push({ request: request.request, afterWrite: this.#writesTaken });
          if (this.#writes.length === 0) this.#memory.free(this.#memory.position); // a read keeps nothing of its frame
          break;
        case "close":
          this.#closeCall = request.call;
          break;
      }
    }
  }

  #commitOnce(): void {
    const [first] = this.#writes;
    const count = this.#database.commit(this.#writes, this.#to);
    const isLone = count === 1 && first !== undefined && messagesOf(first) === 1;
    this.#loneCommits = isLone ? this.#loneCommits + 1 : 0;
    this.#writes.splice(0, count);
    const end = this.#ends.splice(0, count).at(-1);
    if (end !== undefined) this.#memory.free(end);
    this.#writesAnswered += count;
    this.#send();
  }

  /** Reads wait for the writes called before them, so that they see those, and give way to the next commit in time. */
  #answerReads(): void {
    let answered = 0;
    // Reads that look at much and find nothing answer with few bytes: time counts as well.
    const end = performance.now() + READ_TURN_MS;
    for (let bytes = 0; bytes < READ_TURN_BYTES && answered < this.#reads.length; answered++) {
      if (answered > 0 && performance.now() >= end) break;
      const read = this.#reads[answered];
      if (read === undefined || read.afterWrite > this.#writesAnswered) break;
      this.#database.answer(read.request, this.#to);
      bytes += this.#to.length;
      this.#send();
    }
    this.#reads.splice(0, answered);
    this.#loneCommits = 0;
  }

  #close(call: number): void {
    this.#database.close();
    writeAnswer(this.#to, call, nothing);
    this.#send();
  }

  #send(): void {
    this.#answers.write(this.#to.written);
    this.#to.reset();
  }
}

function start({ requests, answers, options }: ThreadStart): void {
  const pipe = new PipeWriter(answers);
  const greeting = new ByteWriter();
  let database: Database;
  try {
    database = new Database(options);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    writeFailure(greeting, OPEN_CALL, error);
    return pipe.write(greeting.written);
  }
  const { incarnation, logs: { opening } } = database;
  writeAnswer(greeting, OPEN_CALL, opened({ incarnation, opening }));
  pipe.write(greeting.written);
  new StoreThread(new PipeReader(requests), pipe, database).run();
}

globalThis.addEventListener("message", (event) => start((event as MessageEvent<ThreadStart>).data), {
  once: true,
});
