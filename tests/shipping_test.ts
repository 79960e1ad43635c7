/** What is shipped: the executable's content and permissions, the unit, the image. */
import assert from "node:assert/strict";
import { readConfig } from "../daemon/config/read_config.ts";
import { isEngineFlag, TempFolder } from "./daemon_process.ts";

const ROOT = new URL("..", import.meta.url);

interface Tasks {
  readonly [name: string]: string;
}

async function tasks(): Promise<Tasks> {
  return JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT))).tasks;
}

function permissions(command: string | undefined): string[] {
  return (command ?? "").split(" ").filter((word) => /^(-A$|--(allow|deny|ignore)-|--no-prompt)/.test(word));
}

function engineFlags(command: string | undefined): string[] {
  return (command ?? "").split(" ").filter(isEngineFlag);
}

async function run(command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const { success, stdout, stderr } = await new Deno.Command(command, { args: [...args], env, cwd: ROOT })
    .output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

async function has(command: string): Promise<boolean> {
  try {
    return (await run(command, ["--version"])).success;
  } catch {
    return false;
  }
}

Deno.test("the executable has the permissions of `deno task start`, and these are narrow", async () => {
  const all = await tasks();
  const start = permissions(all["start"]);
  assert.deepEqual(permissions(all["msgbus"]), start);
  assert.deepEqual(permissions(all["compile"]), start);
  assert.deepEqual(permissions(all["compile:arm64"]), start);
  for (
    const wide of [
      "-A",
      "--allow-all",
      "--allow-run",
      "--allow-ffi",
      "--allow-env",
      "--allow-sys",
      "--allow-import",
    ]
  ) {
    assert.equal(start.includes(wide), false, wide);
  }
});

Deno.test("every daemon, and so the executable, has the engine's flags of `deno task start`", async () => {
  const all = await tasks();
  const start = engineFlags(all["start"]);
  assert.ok(start.length > 0);
  for (const task of ["msgbus", "compile", "compile:arm64"]) {
    assert.deepEqual(engineFlags(all[task]), start, task);
  }
});

/** What only dynamic imports name, which the compiler must find as well. */
const LOADED_LATER = [
  "unary_handlers.ts",
  "stream_service.ts",
  "serve_sync.ts",
  "schemas.ts",
  "health_request.ts",
];

Deno.test("the executable embeds the store's worker, what is loaded later, and nothing that is not needed at run time", async () => {
  await using folder = await TempFolder.make();
  const compile = ((await tasks())["compile"] ?? "").split(" ").slice(1);
  const output = compile.indexOf("--output");
  compile[output + 1] = `${folder.path}/msgbusd`;
  // Any executable serves as the base for the list; the real one comes from Deno's download site.
  const base = Deno.env.get("DENORT_BIN") ?? Deno.execPath();
  const { success, text } = await run(Deno.execPath(), compile, { DENORT_BIN: base, NO_COLOR: "1" });
  assert.ok(success, text);
  for (const needed of ["worker.ts", "main.ts", "@bufbuild/protobuf", "commander", ...LOADED_LATER]) {
    assert.ok(text.includes(needed), `${needed} is missing:\n${text}`);
  }
  for (const foreign of ["grpc-js", "esbuild", "fast-check", "buf-linux", "_test.ts"]) {
    assert.equal(text.includes(foreign), false, `${foreign} is embedded:\n${text}`);
  }
});

Deno.test("the compiled executable works", async () => {
  await using folder = await TempFolder.make();
  const binary = Deno.env.get("MSGBUSD_BIN");
  if (binary === undefined) {
    console.log("skipped: set MSGBUSD_BIN to the output of `deno task compile` to run it");
    return;
  }
  const { success, text } = await run(binary, ["version"]);
  assert.ok(success, text);
  const child = new Deno.Command(binary, {
    args: ["serve", "--listen", `unix:${folder.path}/bus.sock`, "--data", `${folder.path}/bus.sqlite`],
    stderr: "null",
  }).spawn();
  try {
    const target = ["--connect", `unix:${folder.path}/bus.sock`];
    for (let i = 0; i < 100 && !(await run(binary, ["ready", ...target])).success; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.ok((await run(binary, ["pub", "t", "hello", ...target])).success);
    assert.match((await run(binary, ["fetch", "t", ...target])).text, /hello/);
  } finally {
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);
  }
});

Deno.test("msgbusd.service is valid and hardened", async () => {
  if (!await has("systemd-analyze")) {
    console.log("skipped: needs systemd-analyze (apt-get install systemd)");
    return;
  }
  await using folder = await TempFolder.make();
  const unit = await Deno.readTextFile(new URL("msgbusd.service", ROOT));
  assert.match(unit, /^MemoryDenyWriteExecute=no$/m, "V8 compiles at run time");
  assert.match(unit, /^ExecReload=\S+ -HUP \$MAINPID$/m);
  const path = `${folder.path}/msgbusd.service`;
  // The verification looks for the executable: any that exists serves.
  await Deno.writeTextFile(path, unit.replace("/usr/bin/msgbusd serve", "/bin/true"));
  const verified = await run("systemd-analyze", ["verify", path]);
  assert.ok(verified.success, verified.text);
  assert.equal(verified.text, "");
  const security = await run("systemd-analyze", ["security", "--offline=yes", "--threshold=30", path]);
  assert.ok(security.success, security.text);
});

Deno.test("Dockerfile starts, runs as another user than root, keeps state in /var/lib/msgbus, and checks its health", async () => {
  const lines = (await Deno.readTextFile(new URL("Dockerfile", ROOT))).split("\n");
  const final = lines.slice(lines.findLastIndex((line) => line.startsWith("FROM ")));
  const text = final.join("\n");
  assert.match(text, /^USER nonroot$/m);
  assert.match(text, /^VOLUME \/var\/lib\/msgbus$/m);
  assert.match(text, /MSGBUS_DATA=\/var\/lib\/msgbus\//);
  assert.match(text, /^HEALTHCHECK .*"\/usr\/bin\/msgbusd", "ready"/m);
  const settings = new Map(
    Array.from(text.matchAll(/^(?:ENV)? +(MSGBUS_\w+)=(\S+)/gm), ([, name = "", value]) => [name, value]),
  );
  const config = readConfig({
    flags: new Map(),
    env: (name) => settings.get(name),
    whyUnreadable: () => undefined,
  });
  assert.deepEqual(config.listen, [{
    address: { kind: "tcp", hostname: "0.0.0.0", port: 50051 },
    secure: false,
    carrier: "stream",
  }]);
  const all = await tasks();
  for (const [, task] of lines.join("\n").matchAll(/task=([\w:]+)/g)) {
    assert.ok(all[task ?? ""] !== undefined, `${task} is no task`);
  }
});
