/** Clients that are not ours, against the daemon as a process. */
import assert from "node:assert/strict";
import { DaemonProcess, TempFolder } from "./daemon_process.ts";

async function runUnderNode(script: string, args: readonly string[], folder: string): Promise<string> {
  const bundle = `${folder}/client.mjs`;
  const bundled = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--output", bundle, new URL(script, import.meta.url).pathname],
  }).output();
  assert.ok(bundled.success, new TextDecoder().decode(bundled.stderr));
  const { success, stdout, stderr } = await new Deno.Command("node", { args: [bundle, ...args] }).output();
  const decoder = new TextDecoder();
  assert.ok(success, decoder.decode(stderr));
  return decoder.decode(stdout);
}

Deno.test("@grpc/grpc-js under Node works through the whole contract, over TCP and over a unix socket", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start([
    "--data",
    `${folder.path}/bus.sqlite`,
    "--listen",
    "127.0.0.1:0",
    "--listen",
    `unix:${folder.path}/bus.sock`,
  ]);
  for (const target of daemon.addresses) {
    assert.equal(await runUnderNode("interop/grpc_js_client.ts", [target], folder.path), "ok\n");
  }
  assert.equal(await daemon.stop(), 0, daemon.log);
});
