/** Programs that Node runs, made of one file each. */
import assert from "node:assert/strict";

const decoder = new TextDecoder();

/** Whether there is a Node; where not, says what is skipped. */
export async function hasNode(): Promise<boolean> {
  try {
    return (await new Deno.Command("node", { args: ["--version"] }).output()).success;
  } catch {
    console.log("skipped: needs node (nodejs.org, or apt-get install nodejs)");
    return false;
  }
}

/** Bundles a script of this folder into one file that Node runs, and returns its path. */
export async function bundleForNode(script: string, folder: string): Promise<string> {
  const bundle = `${folder}/${script.replace(/\.ts$/, ".mjs")}`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--output", bundle, new URL(script, import.meta.url).pathname],
  }).output();
  assert.ok(success, decoder.decode(stderr));
  return bundle;
}

/** Runs a script of this folder to its end and returns what it printed. */
export async function runUnderNode(script: string, args: readonly string[], folder: string): Promise<string> {
  const bundle = await bundleForNode(script, folder);
  const { success, stdout, stderr } = await new Deno.Command("node", { args: [bundle, ...args] }).output();
  assert.ok(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

/** A server that runs under Node until its block ends. */
export class NodeServer implements AsyncDisposable {
  /** The port that it listens on. */
  readonly port: number;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(child: Deno.ChildProcess, port: number) {
    this.#child = child;
    this.#input = child.stdin.getWriter();
    this.port = port;
  }

  /** Starts a script of this folder that prints its port. */
  static async start(script: string, folder: string): Promise<NodeServer> {
    const bundle = await bundleForNode(script, folder);
    const child = new Deno.Command("node", {
      args: [bundle],
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    })
      .spawn();
    let printed = "";
    for await (const piece of child.stdout.pipeThrough(new TextDecoderStream())) {
      printed += piece;
      if (printed.includes("\n")) break;
    }
    const port = Number(printed.trim());
    assert.ok(port > 0, `the server under Node printed ${JSON.stringify(printed)}`);
    return new NodeServer(child, port);
  }

  /** Gives it a line on its standard input. */
  async write(line: string): Promise<void> {
    await this.#input.write(new TextEncoder().encode(`${line}\n`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#input.close();
    await this.#child.status;
  }
}
