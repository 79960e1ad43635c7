/** The examples of the READMEs run as they stand there. */
import assert from "node:assert/strict";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";

const ROOT = new URL("..", import.meta.url);

async function run(readme: string, replace: readonly [string, string] = ["", ""]): Promise<string> {
  const text = await Deno.readTextFile(new URL(readme, ROOT));
  const example = /```ts\n([\s\S]*?)```/.exec(text)?.[1] ?? assert.fail(`${readme} has no example`);
  assert.ok(example.includes(replace[0]));
  await using folder = await TempFolder.make();
  const path = `${folder.path}/example.ts`;
  await Deno.writeTextFile(path, example.replace(...replace));
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--check", "--config", new URL("deno.json", ROOT).pathname, path],
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the example of grpc/README.md greets", async () => {
  assert.equal(await run("grpc/README.md"), "Hello, World!\n");
});

Deno.test("the example of sdk/README.md publishes and reads it back", async () => {
  await using daemon = await DaemonProcess.start(["--storage", "memory"]);
  assert.equal(await run("sdk/README.md", ["127.0.0.1:50051", daemon.address]), "1 { id: 7, total: 12.5 }\n");
});
