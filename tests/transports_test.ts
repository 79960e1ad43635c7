/** The daemon as a process on every transport at once, and what its WebSockets let in. */
import { type Client, connect, MsgbusError, type TlsClientOptions } from "@msgbus/sdk";
import assert from "node:assert/strict";
import { CertificateAuthority } from "../grpc/transport/testing/certificate_authority.ts";
import { ALL_INTERPRETERS, type Interpreter, isInstalled } from "./interpreters.ts";
import { DaemonProcess, runMsgbusd, TempFolder } from "./daemon_process.ts";

const authority = await CertificateAuthority.create();
const server = await authority.issueLocal();
const client = await authority.issue({ commonName: "client" });
const tls: TlsClientOptions = { ca: authority.cert };
const memory = ["--storage", "memory"];

/** The flags of a certificate whose files are in a folder. */
async function tlsFlags(folder: TempFolder): Promise<readonly string[]> {
  const [cert, key] = [`${folder.path}/cert.pem`, `${folder.path}/key.pem`];
  await Deno.writeTextFile(cert, server.cert);
  await Deno.writeTextFile(key, server.key, { mode: 0o600 });
  return ["--tls-cert", cert, "--tls-key", key];
}

/** The options that an address needs. */
function optionsFor(address: string): { readonly tls?: TlsClientOptions } {
  return /^(https|wss|quic):/.test(address) ? { tls } : {};
}

async function take(bus: Client, count: number): Promise<string[]> {
  const texts: string[] = [];
  for await (const message of bus.subscribe("t", { from: 1 })) {
    texts.push(message.text());
    if (texts.length === count) break;
  }
  return texts;
}

async function failure(target: string, options: { readonly tls?: TlsClientOptions } = {}): Promise<string> {
  await using bus = connect(target, options);
  try {
    await bus.publish("t", "x");
  } catch (error) {
    assert.ok(error instanceof MsgbusError, String(error));
    return error.message;
  }
  assert.fail("it was let in");
}

Deno.test("msgbusd on every transport at once: what is published over each reaches a subscriber over each", async () => {
  await using folder = await TempFolder.make();
  const addresses = [
    "http://127.0.0.1:0",
    `unix:${folder.path}/bus.sock`,
    "https://127.0.0.1:0",
    "ws://127.0.0.1:0",
    "wss://127.0.0.1:0",
    "quic://127.0.0.1:0",
  ];
  const listen = addresses.flatMap((address) => ["--listen", address]);
  await using daemon = await DaemonProcess.start([...memory, ...await tlsFlags(folder), ...listen]);
  assert.deepEqual(
    daemon.addresses.map((address) => address.replace(/\d+$/, "0")),
    addresses.map((address) => address.replace("http://", "")),
  );
  const clients = daemon.addresses.map((address) => connect(address, optionsFor(address)));
  const subscribers = clients.map((bus) => take(bus, clients.length * 2));
  const texts: string[] = [];
  for (const [index, bus] of clients.entries()) {
    for (const text of [`${daemon.addresses[index]}`, "x".repeat(500_000)]) {
      await bus.publish("t", text);
      texts.push(text);
    }
  }
  for (const received of await Promise.all(subscribers)) assert.deepEqual(received, texts);
  const endless = clients.map((bus) => take(bus, Infinity));
  endless.forEach((taking) => taking.catch(() => {}));
  const code = await daemon.stop();
  assert.equal(code, 0, daemon.log);
  await Promise.all(clients.map((bus) => bus.close()));
});

Deno.test("msgbusd pub works over a WebSocket with TLS", async () => {
  await using folder = await TempFolder.make();
  const ca = `${folder.path}/ca.pem`;
  await Deno.writeTextFile(ca, authority.cert);
  await using daemon = await DaemonProcess.start([
    ...memory,
    ...await tlsFlags(folder),
    "--listen",
    "wss://127.0.0.1:0",
  ]);
  const flags = ["--connect", daemon.address, "--tls-ca", ca];
  assert.deepEqual((await runMsgbusd(["pub", "t", "hello", ...flags])).code, 0);
  assert.match((await runMsgbusd(["fetch", "t", ...flags])).stdout, /hello/);
});

Deno.test("msgbusd demands client certificates over wss:// too, and tells the client why it is refused", async () => {
  await using folder = await TempFolder.make();
  const clientCa = `${folder.path}/clients.pem`;
  await Deno.writeTextFile(clientCa, authority.cert);
  const flags = [...memory, ...await tlsFlags(folder), "--tls-client-ca", clientCa];
  await using daemon = await DaemonProcess.start([...flags, "--listen", "wss://127.0.0.1:0"]);
  assert.match(
    await failure(daemon.address, { tls }),
    /403 Forbidden: a client certificate is demanded and none was shown/,
  );
  await using bus = connect(daemon.address, { tls: { ...tls, ...client } });
  assert.equal((await bus.publish("t", "x")).headId, 1);
});

Deno.test("connecting with HTTP/2 to a WebSocket of msgbusd, or the other way round, says what is wrong", async () => {
  await using folder = await TempFolder.make();
  const listen = ["wss://127.0.0.1:0", "https://127.0.0.1:0", "http://127.0.0.1:0"];
  await using daemon = await DaemonProcess.start([
    ...memory,
    ...await tlsFlags(folder),
    ...listen.flatMap((address) => ["--listen", address]),
  ]);
  const [wss = "", https = "", plain = ""] = daemon.addresses;
  assert.match(await failure(wss.replace("wss:", "https:"), { tls }), /does not offer HTTP\/2/);
  assert.match(
    await failure(https.replace("https:", "wss:"), { tls }),
    /does not offer HTTP\/1\.1 .*no WebSocket/,
  );
  assert.match(await failure(`ws://${plain}`), /made no WebSocket of it|ended the WebSocket's handshake/);
});

Deno.test("SIGHUP shows the new certificate to new connections over QUIC and wss, and open ones go on", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start([
    ...memory,
    ...await tlsFlags(folder),
    ...["quic", "wss"].flatMap((scheme) => ["--listen", `${scheme}://127.0.0.1:0`]),
  ]);
  const open = daemon.addresses.map((address) => connect(address, { tls }));
  for (const bus of open) await bus.publish("t", "before");
  const stranger = await CertificateAuthority.create("stranger");
  const pair = await stranger.issueLocal();
  await Deno.writeTextFile(`${folder.path}/cert.pem`, pair.cert);
  await Deno.writeTextFile(`${folder.path}/key.pem`, pair.key);
  daemon.signal("SIGHUP");
  for (let i = 0; i < 500 && !daemon.log.includes("reloaded the certificate"); i++) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const [index, address] of daemon.addresses.entries()) {
    assert.match(await failure(address, { tls }), /no trusted authority vouches/);
    await using bus = connect(address, { tls: { ca: stranger.cert } });
    await bus.publish("t", "after");
    await open[index]?.publish("t", "still open");
  }
  await Promise.all(open.map((bus) => bus.close()));
});

/** Whether a page of `origin` may open a WebSocket: the platform's says no origin, so the handshake is written out. */
async function answerTo(address: string, origin: string): Promise<string> {
  const { hostname, port } = new URL(address);
  using conn = await Deno.connect({ hostname, port: Number(port) });
  const request = `GET / HTTP/1.1\r\nHost: ${hostname}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
    `Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nOrigin: ${origin}\r\n\r\n`;
  await conn.write(new TextEncoder().encode(request));
  const room = new Uint8Array(4_096);
  return new TextDecoder().decode(room.subarray(0, await conn.read(room) ?? 0)).split("\r\n")[0] ?? "";
}

Deno.test("msgbusd lets only pages of --ws-origin connect by WebSocket, by default none", async () => {
  const listen = [...memory, "--listen", "ws://127.0.0.1:0"];
  await using closed = await DaemonProcess.start(listen);
  await using open = await DaemonProcess.start([...listen, "--ws-origin", "https://app.example"]);
  assert.equal(await answerTo(closed.address, "https://app.example"), "HTTP/1.1 403 Forbidden");
  assert.equal(await answerTo(open.address, "https://evil.example"), "HTTP/1.1 403 Forbidden");
  assert.equal(await answerTo(open.address, "https://app.example"), "HTTP/1.1 101 Switching Protocols");
});

async function bundle(folder: TempFolder, script: string, platform: "browser" | "deno"): Promise<string> {
  const output = `${folder.path}/${script.replace(".ts", ".mjs")}`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--platform", platform, "--output", output, new URL(script, import.meta.url).pathname],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return output;
}

/** Runs a program with this Deno and returns what it prints. */
async function output(args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the SDK works where there is only the platform's WebSocket, as in a browser", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start([...memory, "--listen", "ws://127.0.0.1:0"]);
  const script = await bundle(folder, "sdk_browser_script.ts", "browser");
  const page = `${folder.path}/page.mjs`;
  await Deno.writeTextFile(
    page,
    `const print = console.log;
globalThis.page = { target: ${
      JSON.stringify(daemon.address)
    }, done: (result) => print(JSON.stringify(result)) };
delete globalThis.Deno;
delete globalThis.process;
await import(${JSON.stringify(script)});`,
  );
  const { texts, refused } = JSON.parse(await output(["run", "-A", "--no-config", page]));
  assert.deepEqual(texts, ["1:5", "2:1000000"]);
  assert.match(refused, /a browser has only WebSockets/);
});

Deno.test("the SDK works on a page in Chromium, whose origin the daemon lets in", async () => {
  const [chromium] = ["chromium-headless-shell", "chromium"].filter(isOnPath);
  if (chromium === undefined) {
    console.log("skipped: no chromium on PATH; apt-get install chromium-headless-shell");
    return;
  }
  await using folder = await TempFolder.make();
  const script = await Deno.readTextFile(await bundle(folder, "sdk_browser_script.ts", "browser"));
  const told = Promise.withResolvers<{ readonly texts: readonly string[]; readonly refused: string }>();
  let target = "";
  await using site = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/result") {
      told.resolve(await request.json());
      return new Response();
    }
    if (pathname === "/script.mjs") {
      return new Response(script, { headers: { "content-type": "text/javascript" } });
    }
    const page = `<script>globalThis.page = { target: ${JSON.stringify(target)},
      done: (result) => fetch("/result", { method: "POST", body: JSON.stringify(result) }) };</script>
      <script type="module" src="/script.mjs"></script>`;
    return new Response(page, { headers: { "content-type": "text/html" } });
  });
  const origin = `http://127.0.0.1:${site.addr.port}`;
  await using daemon = await DaemonProcess.start([
    ...memory,
    "--listen",
    "ws://127.0.0.1:0",
    "--ws-origin",
    origin,
  ]);
  target = daemon.address;
  const browser = new Deno.Command(chromium, {
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      `--user-data-dir=${folder.path}/profile`,
      "--remote-debugging-port=0",
      `${origin}/`,
    ],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const ended = browser.status.then(() => told.reject(new Error("the browser ended without a result")));
  const giveUp = setTimeout(() => told.reject(new Error("the page told nothing in time")), PAGE_TIMEOUT_MS);
  try {
    const { texts, refused } = await told.promise;
    assert.deepEqual(texts, ["1:5", "2:1000000"]);
    assert.match(refused, /a browser has only WebSockets/);
  } finally {
    clearTimeout(giveUp);
    browser.kill("SIGKILL");
    await ended;
  }
});

/** A browser that has never run on a machine needs some seconds. */
const PAGE_TIMEOUT_MS = 60_000;

function isOnPath(program: string): boolean {
  return (Deno.env.get("PATH") ?? "").split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

/** A reverse proxy of HTTP/1.1 that passes WebSockets on: what comes on a path goes to the daemon. */
function proxy(path: string, address: string): { readonly port: number; close(): void } {
  const { hostname, port } = new URL(address);
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  void (async () => {
    for await (const inbound of listener) {
      const room = new Uint8Array(16_384);
      const head = new TextDecoder().decode(room.subarray(0, await inbound.read(room) ?? 0));
      if (!head.startsWith(`GET ${path} HTTP/1.1\r\n`)) {
        inbound.close();
        continue;
      }
      const outbound = await Deno.connect({ hostname, port: Number(port) });
      const forwarded = head.replace(path, "/").replace("\r\n", "\r\nX-Forwarded-For: 127.0.0.1\r\n");
      await outbound.write(new TextEncoder().encode(forwarded));
      // Either end's end is both ends' end.
      inbound.readable.pipeTo(outbound.writable).catch(() => {});
      outbound.readable.pipeTo(inbound.writable).catch(() => {});
    }
  })();
  return { port: listener.addr.port, close: () => listener.close() };
}

Deno.test("the SDK reaches msgbusd through a reverse proxy, at a path, with streams", async () => {
  await using daemon = await DaemonProcess.start([...memory, "--listen", "ws://127.0.0.1:0"]);
  const between = proxy("/bus?room=1", daemon.address);
  await using bus = connect(`ws://127.0.0.1:${between.port}/bus?room=1`);
  const following = take(bus, 2);
  await bus.publish("t", "one");
  await bus.publish("t", "x".repeat(1_000_000));
  assert.deepEqual(await following, ["one", "x".repeat(1_000_000)]);
  assert.match(
    await failure(`ws://127.0.0.1:${between.port}/other`),
    /ended the WebSocket's handshake|closed|reset/,
  );
  between.close();
});

Deno.test("the SDK reaches msgbusd through nginx, by WebSocket", async () => {
  await using folder = await TempFolder.make();
  await using daemon = await DaemonProcess.start([...memory, "--listen", "ws://127.0.0.1:0"]);
  const socket = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = socket.addr;
  socket.close();
  const config = `${folder.path}/nginx.conf`;
  await Deno.writeTextFile(
    config,
    `daemon off; pid ${folder.path}/pid; error_log stderr; events {}
http { access_log off; client_body_temp_path ${folder.path}/a; proxy_temp_path ${folder.path}/b;
fastcgi_temp_path ${folder.path}/c; uwsgi_temp_path ${folder.path}/d; scgi_temp_path ${folder.path}/e;
server { listen 127.0.0.1:${port}; location /bus { proxy_pass ${daemon.address.replace("ws:", "http:")};
proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; } } }`,
  );
  let nginx: Deno.ChildProcess;
  try {
    nginx = new Deno.Command("nginx", { args: ["-c", config], stderr: "null" }).spawn();
  } catch {
    console.log("skipped: needs nginx (apt-get install nginx-light)");
    return;
  }
  try {
    await using bus = connect(`ws://127.0.0.1:${port}/bus`, { waitForReady: true });
    await bus.publish("t", "x".repeat(1_000_000));
    assert.deepEqual(await take(bus, 1), ["x".repeat(1_000_000)]);
  } finally {
    nginx.kill("SIGTERM");
    await nginx.status;
  }
});

async function speaksAll(interpreter: Interpreter): Promise<void> {
  await using folder = await TempFolder.make();
  const listen = [
    "http://127.0.0.1:0",
    "https://127.0.0.1:0",
    `unix:${folder.path}/bus.sock`,
    "ws://127.0.0.1:0",
    "wss://127.0.0.1:0",
  ];
  await using daemon = await DaemonProcess.start([
    ...memory,
    ...await tlsFlags(folder),
    ...listen.flatMap((address) => ["--listen", address]),
  ]);
  const script = await bundle(folder, "sdk_node_transports_script.ts", "deno");
  const { success, stdout, stderr } = await new Deno.Command(interpreter, {
    args: [script, authority.cert, ...daemon.addresses],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.deepEqual(
    new TextDecoder().decode(stdout).trim().split("\n"),
    daemon.addresses.map((address, index) => `${address.split(":")[0]} ${index + 1} 300000`),
  );
}

for (const interpreter of ALL_INTERPRETERS) {
  Deno.test(`the SDK on ${interpreter} speaks TCP, TLS, unix sockets, and WebSocket with TLS and without`, async () => {
    if (await isInstalled(interpreter)) await speaksAll(interpreter);
  });
}
