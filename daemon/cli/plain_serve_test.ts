import assert from "node:assert/strict";
import type { Config } from "../config/config.ts";
import type { CliIo } from "./io.ts";
import { plainServeFlags, serve } from "./plain_serve.ts";
import { runCommand } from "./run_command.ts";

/** What the daemon would be started with; `whole` parses as if there were no plain way. */
async function configOf(argv: readonly string[], way: "plain" | "whole"): Promise<Config | undefined> {
  let started: Config | undefined;
  const output = { isTerminal: false, write: () => Promise.resolve() };
  const io: CliIo = {
    stdout: output,
    stderr: output,
    stdin: () => Promise.resolve(new Uint8Array()),
    env: () => undefined,
    files: {
      read: () => Promise.resolve(undefined),
      replace: () => Promise.resolve(),
      lock: () => Promise.resolve(() => {}),
      whyUnreadable: () => undefined,
    },
    onInterrupt: () => () => {},
    startDaemon: (config) => {
      started = config;
      return Promise.resolve(0);
    },
    runtimeVersions: () => [],
  };
  if (way === "whole") {
    await runCommand(argv, io);
  } else {
    const flags = plainServeFlags(argv);
    assert.ok(flags !== undefined, `${argv.join(" ")} is plain`);
    await serve(flags, io);
  }
  return started;
}

Deno.test("plainServeFlags means what the parser of the command line means", async () => {
  for (
    const line of [
      "",
      "serve",
      "--storage memory",
      "serve --listen 127.0.0.1:1 --listen=unix:/a=b --data version",
      "--data help --tenant-id serve",
      "serve --data=--version --data last",
      "--data=first --log-level debug",
      "--insecure",
      "serve --insecure --listen 0.0.0.0:1 --insecure",
      "--data x --insecure",
    ]
  ) {
    const argv = line.split(" ").filter((word) => word !== "");
    const problem = (error: unknown) => error instanceof Error ? error.message : assert.fail(String(error));
    const whole = await configOf(argv, "whole").catch(problem);
    const plain = await configOf(argv, "plain").catch(problem);
    assert.ok(whole !== undefined, line);
    assert.deepEqual(plain, whole, line);
  }
});

Deno.test("plainServeFlags leaves every other command line to the parser", () => {
  for (
    const line of [
      "--help",
      "--version",
      "version",
      "pub t x",
      "serve serve",
      "serve x",
      "serve --help",
      "serve --data",
      "serve --data --help",
      "serve --data x --bogus",
      "serve --bogus=x",
      "serve -- --data x",
      "--data x serve",
      "--json",
      "--insecure=true",
      "--insecure yes",
    ]
  ) assert.equal(plainServeFlags(line.split(" ")), undefined, line);
});

Deno.test("run: a plain start of the daemon loads neither the parser nor the client", async () => {
  const main = new URL("run.ts", import.meta.url);
  const reached = new Set<string>();
  const visit = async (url: URL) => {
    if (reached.has(url.href)) return;
    reached.add(url.href);
    const code = (await Deno.readTextFile(url)).replace(/\/\*[\s\S]*?\*\//g, "");
    const imports = /^(?:import|export)\b( type\b)?(?:[^"';]*?from)?\s*"([^"]+)"/gm;
    for (const [, typeOnly, specifier = ""] of code.matchAll(imports)) {
      if (typeOnly !== undefined) continue;
      assert.ok(specifier.startsWith("."), `${url.pathname} loads ${specifier}`);
      await visit(new URL(specifier, url));
    }
  };
  await visit(main);
  assert.ok(reached.has(new URL("../config/settings.ts", import.meta.url).href));
});
