/** A program of Debian that a measurement needs, and the package that brings it. */
export interface Program {
  readonly command: string;
  readonly package: string;
}

/** nghttp2's load generator. */
export const H2LOAD: Program = { command: "h2load", package: "nghttp2-client" };
/** Redis and its own load generator. */
export const REDIS_SERVER: Program = { command: "redis-server", package: "redis-server" };

/**
 * NATS, with a setting of its own for the program: Debian's may be older than 2.10, which is the first that can sync each
 * message.
 */
export const NATS_SERVER: Program = {
  command: Deno.env.get("MSGBUS_BENCH_NATS_SERVER") || "nats-server",
  package: "nats-server",
};

/** Whether the program is there; otherwise says in one line how to get it and what is left out. */
export async function available(program: Program, leftOut: string): Promise<boolean> {
  try {
    await new Deno.Command(program.command, { args: ["--version"], stdout: "null", stderr: "null" }).output();
    return true;
  } catch {
    console.log(`left out: ${leftOut}. It needs ${program.command}: apt-get install ${program.package}`);
    return false;
  }
}

/** Runs a program to its end and returns what it printed. Throws where it fails. */
export async function output(command: string, args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args] }).output();
  const decoder = new TextDecoder();
  if (!success) throw new Error(`${command} ${args.join(" ")} failed: ${decoder.decode(stderr)}`);
  return decoder.decode(stdout);
}
