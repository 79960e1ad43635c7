/** Daemons that find each other by multicast DNS on the loopback interface. */
import assert from "node:assert/strict";
import { type Client, connect } from "@msgbus/sdk";
import { DaemonProcess, runMsgbusd, TempFolder } from "./daemon_process.ts";

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 50));
}

async function hasHead(client: Client, tenantId: string, deviceId: string): Promise<boolean> {
  const origin = { tenantId, blName: "default", deviceId };
  return (await client.head("t", { origin })) !== undefined;
}

Deno.test("daemons that know the same secret find and copy each other; who does not know it is not copied from", async () => {
  await using folder = await TempFolder.make();
  // Other daemons of this machine may be announced there too.
  const tenantId = crypto.randomUUID();
  for (
    const [name, secret] of [["ours", "a secret that is long enough"], ["theirs", "another that is as long"]]
  ) {
    await Deno.writeTextFile(`${folder.path}/${name}`, `${secret}\n`);
  }
  const start = (deviceId: string, secret: string) =>
    DaemonProcess.start([
      ...["--storage", "memory", "--tenant-id", tenantId, "--device-id", deviceId],
      ...[
        "--discover",
        "--discover-interface",
        "127.0.0.1",
        "--discover-secret-file",
        `${folder.path}/${secret}`,
      ],
    ]);
  await using a = await start("a", "ours");
  if (a.log.includes("discovery is off")) {
    return console.log(
      "skipped: discovery needs multicast on the loopback interface (ip link set lo multicast on)",
    );
  }
  await using atA = connect(a.address);
  await atA.publish("t", "of a");
  await using b = await start("b", "ours");
  await using atB = connect(b.address);
  await atB.publish("t", "of b");
  await until(() => hasHead(atB, tenantId, "a"));
  await until(() => hasHead(atA, tenantId, "b"));

  await using stranger = await start("stranger", "theirs");
  await using atStranger = connect(stranger.address);
  await atStranger.publish("t", "of a stranger");
  await a.logged(/does not know the secret of --discover-secret-file/);
  assert.equal(await hasHead(atA, tenantId, "stranger"), false);

  assert.equal(await b.stop(), 0);
  const { stdout } = await runMsgbusd(["sync", "--connect", a.address]);
  assert.doesNotMatch(stdout, /of b/);
  assert.ok(await hasHead(atA, tenantId, "b"), "what was copied stays");
});

Deno.test("a secret that is too short is refused at start, with what to do", async () => {
  await using folder = await TempFolder.make();
  const path = `${folder.path}/secret`;
  await Deno.writeTextFile(path, "short\n");
  const { code, stderr } = await runMsgbusd([
    "serve",
    "--storage",
    "memory",
    "--discover",
    "--discover-secret-file",
    path,
  ]);
  assert.equal(code, 2);
  assert.match(stderr, /--discover-secret-file .* has 5 bytes; give at least 16/);
});
