const MAIN = new URL("../daemon/main.ts", import.meta.url).pathname;

/** Whether a word of a task is a flag for what runs the code, and not for the code. */
export function isEngineFlag(word: string): boolean {
  return word.startsWith("--v8-flags=") || word === "--no-code-cache";
}

/** What `deno task start` gives to the engine: memory and speed are those of the daemon that users run. */
const ENGINE_FLAGS: readonly string[] = JSON.parse(
  Deno.readTextFileSync(new URL("../deno.json", import.meta.url)),
).tasks.start.split(" ").filter(isEngineFlag);

/** A daemon as a process of its own, as its users run it. */
export class DaemonProcess implements AsyncDisposable {
  /** What it listens on, in the order of `--listen`. */
  readonly addresses: readonly string[];
  readonly pid: number;
  readonly #child: Deno.ChildProcess;
  readonly #log: LogReader;

  private constructor(child: Deno.ChildProcess, log: LogReader, addresses: readonly string[]) {
    this.#child = child;
    this.#log = log;
    this.pid = child.pid;
    this.addresses = addresses;
  }

  /**
   * Starts `msgbusd serve` with the flags and waits until it is ready; a port of 0 is chosen by the system. `within` is a
   * command that runs another in other surroundings, in the same process: `ip netns exec x`.
   */
  static async start(flags: readonly string[], within: readonly string[] = []): Promise<DaemonProcess> {
    const listen = flags.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    const child = command(["serve", "--log-format", "json", ...listen, ...flags], {}, within).spawn();
    const log = new LogReader(child.stderr);
    const addresses = await log.ready;
    if (addresses === undefined) {
      const { code } = await child.status;
      throw new Error(`the daemon ended with ${code}: ${log.text}`);
    }
    return new DaemonProcess(child, log, addresses);
  }

  /** The first address. */
  get address(): string {
    return this.addresses[0] ?? "";
  }

  /** Everything it wrote to standard error so far. */
  get log(): string {
    return this.#log.text;
  }

  /** Waits until it has logged something. Throws when it ends before. */
  async logged(pattern: RegExp): Promise<void> {
    await this.#log.contains(pattern);
  }

  /** Ends it as `kill -9` does. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#ended();
  }

  /** Sends a signal without waiting. */
  signal(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  /** Asks it to stop and returns its exit code. */
  async stop(signal: Deno.Signal = "SIGTERM"): Promise<number> {
    this.#child.kill(signal);
    return await this.#ended();
  }

  /** Waits for its end and returns its exit code. */
  async ended(): Promise<number> {
    return await this.#ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already.
    }
    await this.#ended();
  }

  async #ended(): Promise<number> {
    const { code } = await this.#child.status;
    await this.#log.done;
    return code;
  }
}

/** Runs the executable to its end. */
export async function runMsgbusd(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, stdout, stderr } = await command(args, env).output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

function command(
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  within: readonly string[] = [],
): Deno.Command {
  const [program = "", ...rest] = [...within, Deno.execPath(), "run", ...ENGINE_FLAGS, "-A", MAIN, ...args];
  return new Deno.Command(program, {
    args: rest,
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Gathers standard error and finds the line that says where the daemon listens. */
class LogReader {
  text = "";
  readonly ready: Promise<readonly string[] | undefined>;
  readonly done: Promise<void>;
  #over = false;
  #wake: () => void = () => {};

  constructor(stderr: ReadableStream<Uint8Array>) {
    let found: (addresses: readonly string[] | undefined) => void = () => {};
    this.ready = new Promise((resolve) => found = resolve);
    this.done = (async () => {
      for await (const piece of stderr.pipeThrough(new TextDecoderStream())) {
        this.text += piece;
        const addresses = /"addresses":"([^"]+)"/.exec(this.text)?.[1];
        if (addresses !== undefined) found(addresses.split(" "));
        this.#wake();
      }
      found(undefined);
      this.#over = true;
      this.#wake();
    })();
  }

  async contains(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.text)) {
      if (this.#over) throw new Error(`the daemon ended without logging ${pattern}: ${this.text}`);
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

/** A folder that goes with its block. */
export class TempFolder implements AsyncDisposable {
  /** Its path. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes one. */
  static async make(): Promise<TempFolder> {
    return new TempFolder(await Deno.makeTempDir({ prefix: "msgbus-test-" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
