/** Peers that must not be copied from, or that refuse: it is seen, it is tried again, and it goes on once it is right. */
import assert from "node:assert/strict";
import { CertificateAuthority } from "../grpc/transport/testing/certificate_authority.ts";
import { runMsgbusd, TempFolder } from "./daemon_process.ts";
import { Certificates } from "./peers/certificates.ts";
import { Device, eventually } from "./peers/device.ts";

const HOUR_MS = 3_600_000;
const past = { notBefore: new Date(Date.now() - 3 * HOUR_MS), notAfter: new Date(Date.now() - 2 * HOUR_MS) };

/** Waits until the device has tried some times in vain, and checks what people see of it. */
async function isRefused(device: Device, reason: RegExp): Promise<void> {
  await eventually(
    async () => (await device.peer()).consecutiveFailures >= 3,
    () => `${device.name} fails three times: ${device.log}`,
  );
  const { mode, lastError } = await device.peer();
  assert.equal(mode, "none");
  assert.match(lastError, reason);
  const { stdout } = await runMsgbusd(["sync", "--connect", device.address]);
  assert.match(stdout.split("\n").find((line) => line.includes(" none ")) ?? "", reason);
  const lines = device.log.split("\n").filter((line) => line.includes('"reason":'));
  assert.deepEqual(lines.map((line) => /"level":"(\w+)"/.exec(line)?.[1]), ["WARN"], device.log);
  assert.match(lines[0] ?? "", reason);
}

/** Waits until the device copies, which nobody told it to try. */
async function recovers(device: Device, origin: Device): Promise<void> {
  await device.reaches(1, "t", origin);
  await eventually(
    async () => (await device.peer()).mode === "stream",
    () => "it is connected",
  );
  assert.equal((await device.peer()).lastError, "");
}

Deno.test("a peer with another name than it must have is not copied from, until the right one is there", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await a.client.publish("t", "x");
  await using b = await Device.follow(folder, "b", [`${a.address}=tenant/default/right`]);
  await isRefused(b, /it is tenant\/default\/a, and must be tenant\/default\/right/);
  assert.deepEqual(await b.client.heads(), []);
  await a.stop();
  await using right = await Device.start(folder, "right", "--listen", a.address);
  await right.client.publish("t", "x");
  await recovers(b, right);
});

Deno.test("a node never copies from itself, nor from one of its own name", async () => {
  await using folder = await TempFolder.make();
  await using twin = await Device.start(folder, "b");
  await twin.client.publish("t", "x");
  await using other = await TempFolder.make();
  await using b = await Device.follow(other, "b", [twin]);
  await isRefused(b, /give every node a name of its own, and no node itself as a peer/);
  assert.deepEqual(await b.client.heads(), []);
});

Deno.test("a peer without a name that it must have is one warning at start", async () => {
  await using folder = await TempFolder.make();
  await using a = await Device.start(folder, "a");
  await using b = await Device.follow(folder, "b", [a]);
  await b.logged(/"level":"WARN[^\n]*tenant\/bl\/device/);
  await using c = await Device.follow(folder, "c", [`${a.address}=tenant/default/a`]);
  await c.logged(/following/);
  assert.doesNotMatch(c.log, /"level":"WARN/);
});

Deno.test("a peer refuses an unknown token, and one without the grant sync, until the token in the file is right", async () => {
  await using folder = await TempFolder.make();
  const auth = `${folder.path}/tokens.json`;
  const token = async (...flags: readonly string[]) => {
    const args = ["token", "create", crypto.randomUUID(), "--auth-file", auth, ...flags];
    return (await runMsgbusd(args)).stdout.trim();
  };
  const right = await token("--sync");
  const reader = await token("--subscribe", ">");
  const publisher = await token("--publish", ">");
  await using a = await Device.start(folder, "a", "--auth-file", auth);
  const file = `${folder.path}/peer.token`;
  const published = await runMsgbusd(["pub", "t", "x", "--connect", a.address], { MSGBUS_TOKEN: publisher });
  assert.equal(published.code, 0, published.stderr);
  for (
    const [index, { wrong, reason }] of [
      { wrong: `${right.slice(0, -1)}!`, reason: /its token is not known/ },
      { wrong: reader, reason: /grant it \\?"sync\\?"/ },
    ].entries()
  ) {
    await Deno.writeTextFile(file, `${wrong}\n`, { mode: 0o600 });
    const flags = ["--peer-token-file", file];
    await using b = await Device.follow(folder, `b${index}`, [`${a.address}=tenant/default/a`], ...flags);
    await isRefused(b, reason);
    await Deno.writeTextFile(file, `${right}\n`);
    await recovers(b, a);
  }
});

Deno.test("a peer whose certificate has expired, or is of a stranger, is not copied from until it has another", async () => {
  await using folder = await TempFolder.make();
  const certificates = await Certificates.make(folder);
  const { authority, serve, trust, pin } = certificates;
  const stranger = await CertificateAuthority.create("stranger");
  const right = await authority.issueLocal();
  const { pinned } = certificates;
  const listen = ["http://127.0.0.1:0", "https://127.0.0.1:0"].flatMap((address) => ["--listen", address]);
  for (
    const [index, { wrong, flags, reason }] of [
      { wrong: await authority.issueLocal(past), flags: trust, reason: /expired/i },
      { wrong: await stranger.issueLocal(), flags: trust, reason: /no trusted authority vouches/ },
      { wrong: right, flags: pin, reason: /none of those whose fingerprints were given/ },
    ].entries()
  ) {
    await certificates.serveWith(wrong);
    await using a = await Device.start(folder, `a${index}`, ...listen, ...serve);
    await a.client.publish("t", "x");
    const [, secure = ""] = a.addresses;
    const peer = `${secure}=tenant/default/a${index}`;
    await using b = await Device.follow(folder, `b${index}`, [peer], ...flags);
    await isRefused(b, reason);
    await certificates.serveWith(flags === pin ? pinned : right);
    a.signal("SIGHUP");
    await recovers(b, a);
  }
});

Deno.test("a peer refuses a client certificate that has expired, and takes the one that was put in its place", async () => {
  await using folder = await TempFolder.make();
  const certificates = await Certificates.make(folder);
  const { authority, serve, demand, trust, show } = certificates;
  const listen = ["http://127.0.0.1:0", "https://127.0.0.1:0"].flatMap((address) => ["--listen", address]);
  await using a = await Device.start(folder, "a", ...listen, ...serve, ...demand);
  await a.client.publish("t", "x");
  const [, secure = ""] = a.addresses;
  await certificates.showWith(await authority.issue({ commonName: "client", ...past }));
  await using b = await Device.follow(folder, "b", [`${secure}=tenant/default/a`], ...trust, ...show);
  await isRefused(b, /certificate/);
  await certificates.showWith(await authority.issue({ commonName: "client" }));
  await recovers(b, a);
});
