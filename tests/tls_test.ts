/** TLS and mTLS of the daemon as a process: what it refuses to start with, whom it lets in, how it reloads. */
import { connect, MsgbusError, type TlsClientOptions } from "@msgbus/sdk";
import assert from "node:assert/strict";
import { CertificateAuthority, type KeyPair } from "../grpc/transport/testing/certificate_authority.ts";
import { DaemonProcess, runMsgbusd, TempFolder } from "./daemon_process.ts";

const HOUR_MS = 3_600_000;
const past = { notBefore: new Date(Date.now() - 3 * HOUR_MS), notAfter: new Date(Date.now() - 2 * HOUR_MS) };
const authority = await CertificateAuthority.create();
const stranger = await CertificateAuthority.create("stranger");
const server = await authority.issueLocal();
const client = await authority.issue({ commonName: "client" });
const foreign = await stranger.issue({ commonName: "client" });
const trusted: TlsClientOptions = { ca: authority.cert };

/** The files of a daemon's TLS. */
class Files implements AsyncDisposable {
  readonly #folder: TempFolder;

  private constructor(folder: TempFolder) {
    this.#folder = folder;
  }

  static async make(pair: KeyPair = server): Promise<Files> {
    const files = new Files(await TempFolder.make());
    await files.write(pair);
    return files;
  }

  path(name: string): string {
    return `${this.#folder.path}/${name}`;
  }

  async write({ cert, key }: KeyPair, clientCa = authority.cert): Promise<void> {
    await Deno.writeTextFile(this.path("cert.pem"), cert);
    await Deno.writeTextFile(this.path("key.pem"), key, { mode: 0o600 });
    await Deno.writeTextFile(this.path("client-ca.pem"), clientCa);
  }

  async put(name: string, text: string): Promise<string> {
    await Deno.writeTextFile(this.path(name), text);
    return this.path(name);
  }

  get tls(): readonly string[] {
    return ["--tls-cert", this.path("cert.pem"), "--tls-key", this.path("key.pem")];
  }

  get mutual(): readonly string[] {
    return [...this.tls, "--tls-client-ca", this.path("client-ca.pem")];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#folder[Symbol.asyncDispose]();
  }
}

const memory = ["--storage", "memory"];

/** The message of the error that a publish ends with. */
async function unavailable(target: string, tls?: TlsClientOptions): Promise<string> {
  await using bus = connect(target, tls && { tls });
  try {
    await bus.publish("t", "x");
  } catch (error) {
    assert.ok(error instanceof MsgbusError, String(error));
    assert.equal(error.code, "UNAVAILABLE");
    return error.message;
  }
  assert.fail("it was let in");
}

async function publish(target: string, tls?: TlsClientOptions): Promise<number> {
  await using bus = connect(target, tls && { tls });
  return (await bus.publish("t", "x")).headId;
}

/** Waits until the daemon has logged that it refused a connection of this machine, for a reason. */
async function loggedRefusal(daemon: DaemonProcess, reason: string): Promise<void> {
  await daemon.logged(new RegExp(`"remote":"127\\.0\\.0\\.1:\\d+","reason":"${RegExp.escape(reason)}`));
}

function portOf(address: string): string {
  return /:(\d+)$/.exec(address)?.[1] ?? assert.fail(address);
}

/** The fingerprint of its certificate, as a daemon logs it. */
function sha256Of(daemon: DaemonProcess): string {
  return /sha256 ([0-9a-f]{64})/.exec(daemon.log)?.[1] ?? assert.fail(daemon.log);
}

async function refusedStart(flags: readonly string[]): Promise<string> {
  const { code, stderr } = await runMsgbusd(["serve", ...memory, "--listen", "127.0.0.1:0", ...flags]);
  assert.equal(code, 2, stderr);
  assert.equal(stderr.trim().split("\n").length, 1, stderr);
  return stderr;
}

Deno.test("msgbusd with unusable TLS files does not start: exit code 2 and one line that names flag and reason", async () => {
  await using files = await Files.make();
  const text = await files.put("text", "no PEM");
  const other = await files.put("other.pem", foreign.key);
  const [cert, key] = [files.path("cert.pem"), files.path("key.pem")];
  assert.match(
    await refusedStart(["--tls-cert", text, "--tls-key", key]),
    /--tls-cert ".*text": it holds no certificate/,
  );
  assert.match(
    await refusedStart(["--tls-cert", cert, "--tls-key", text]),
    /--tls-key ".*text": it holds no private key/,
  );
  assert.match(
    await refusedStart(["--tls-cert", cert, "--tls-key", other]),
    /--tls-key .*not the key of the certificate/,
  );
  assert.match(
    await refusedStart([...files.tls, "--tls-client-ca", text]),
    /--tls-client-ca .*no certificate/,
  );
  assert.match(
    await refusedStart(["--tls-cert", cert, "--tls-key", `${key}x`]),
    /--tls-key .*does not exist/,
  );
  assert.match(await refusedStart(["--tls-cert", cert]), /--tls-key/);
  assert.match(await refusedStart(["--tls-client-ca", cert]), /--tls-cert/);
  assert.match(await refusedStart(["--listen", "https://127.0.0.1:0"]), /https:.*--tls-cert/);
});

Deno.test("msgbusd listens on an address that other machines reach with TLS, or with --insecure, not otherwise", async () => {
  assert.match(
    await refusedStart(["--listen", "0.0.0.0:0"]),
    /--listen "0\.0\.0\.0:0".*plain text.*--insecure/,
  );
  {
    await using daemon = await DaemonProcess.start([...memory, "--listen", "0.0.0.0:0", "--insecure"]);
    await daemon.logged(/"level":"WARN.*without TLS/);
    assert.equal(await publish(`127.0.0.1:${portOf(daemon.address)}`), 1);
  }
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, "--listen", "0.0.0.0:0", ...files.tls]);
  assert.doesNotMatch(daemon.log, /without TLS/);
  assert.match(daemon.log, /asks nobody who they are/);
  assert.equal(await publish(`https://127.0.0.1:${portOf(daemon.address)}`, trusted), 1);
});

Deno.test("msgbusd serves TLS, plain text and a unix socket at once, each as asked", async () => {
  await using files = await Files.make();
  const listen = [
    "127.0.0.1:0",
    "https://127.0.0.1:0",
    "http://127.0.0.1:0",
    `unix:${files.path("bus.sock")}`,
  ];
  await using daemon = await DaemonProcess.start([
    ...memory,
    ...files.tls,
    ...listen.flatMap((address) => ["--listen", address]),
  ]);
  const [first = "", second = "", plain = "", unix = ""] = daemon.addresses;
  assert.deepEqual(daemon.addresses.map((address) => /^https:|^unix:|^[\d.]+:/.exec(address)?.[0]), [
    "https:",
    "https:",
    "127.0.0.1:",
    "unix:",
  ]);
  assert.equal(await publish(first, trusted), 1);
  assert.equal(await publish(second.replace("https://127.0.0.1", "localhost"), trusted), 2);
  assert.equal(await publish(plain), 3);
  assert.equal(await publish(unix), 4);
  assert.match(await unavailable(plain, trusted), /does not speak TLS/);
  assert.match(await unavailable(first.replace("https://", "")), /speaks only TLS/);
  assert.equal(await daemon.stop(), 0, daemon.log);
});

Deno.test("msgbusd warns of a key that others can read, and of an expired certificate", async () => {
  await using files = await Files.make(await authority.issueLocal(past));
  await Deno.chmod(files.path("key.pem"), 0o644);
  await using daemon = await DaemonProcess.start([...memory, ...files.tls]);
  assert.match(daemon.log, /--tls-key .*can be read by others.*mode 644/);
  assert.match(daemon.log, /the certificate .*not now/);
  assert.match(
    await unavailable(daemon.address, trusted),
    /the server's certificate is not valid now: expired/,
  );
});

Deno.test("TLS: a wrong authority, a wrong name and plain text are each refused with a reason, and the daemon goes on", async () => {
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, ...files.tls]);
  assert.match(await unavailable(daemon.address, { ca: stranger.cert }), /no trusted authority vouches/);
  assert.match(
    await unavailable(daemon.address, { ...trusted, serverName: "other.example" }),
    /certificate is for another name: "other\.example"/,
  );
  await using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(portOf(daemon.address)) });
  await conn.write(new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"));
  while (await conn.read(new Uint8Array(100)) !== null);
  assert.equal(await publish(daemon.address, { ...trusted, serverName: "localhost" }), 1);
  await loggedRefusal(daemon, "it refused the server's certificate: alert UnknownCA");
  await loggedRefusal(daemon, "it does not speak TLS");
  assert.equal(await daemon.stop(), 0);
});

Deno.test("mTLS: no client certificate, a rogue one and an expired one are each refused with a reason on both sides", async () => {
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, ...files.mutual]);
  const expired = await authority.issue({ commonName: "client", ...past });
  for (
    const [tls, reason] of [
      [{}, "a client certificate is demanded and none was shown"],
      [foreign, "no authority that is trusted here vouches for the client certificate"],
      [expired, "the client certificate is not valid now: expired, or not valid yet"],
    ] as const
  ) {
    const message = await unavailable(daemon.address, { ...trusted, ...tls });
    assert.ok(message.includes(reason), message);
    await loggedRefusal(daemon, reason);
    assert.ok(await publish(daemon.address, { ...trusted, ...client }) > 0);
  }
});

Deno.test("a scanner does not fill the log", async () => {
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, ...files.tls]);
  for (let i = 0; i < 100; i++) {
    using conn = await Deno.connect({ hostname: "127.0.0.1", port: Number(portOf(daemon.address)) });
    await conn.write(new TextEncoder().encode("scan\n"));
    while (await conn.read(new Uint8Array(100)).catch(() => null) !== null);
  }
  assert.equal(await publish(daemon.address, trusted), 1);
  const lines = daemon.log.match(/got no connection/g)?.length ?? 0;
  assert.ok(lines >= 10 && lines <= 15, `${lines} lines`);
});

Deno.test("SIGHUP reloads the certificate for new connections, open ones go on, and a broken one is not taken", async () => {
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, ...files.tls]);
  await using before = connect(daemon.address, { tls: trusted });
  const subscription = before.subscribe("t");
  await before.publish("t", "one");
  assert.equal((await subscription.nextBatch())?.[0]?.text(), "one");

  await files.write({ cert: (await stranger.issueLocal()).cert, key: server.key });
  daemon.signal("SIGHUP");
  await daemon.logged(/reload failed, the certificate from before stays in use: .*--tls-key .*not the key/);
  assert.equal(await publish(daemon.address, trusted), 2);

  await files.write(await stranger.issueLocal());
  daemon.signal("SIGHUP");
  await daemon.logged(/reloaded the certificate/);
  assert.match(await unavailable(daemon.address, trusted), /no trusted authority/);
  assert.equal(await publish(daemon.address, { ca: stranger.cert }), 3);
  assert.equal((await before.publish("t", "four")).headId, 4, "over the connection from before");
  const received: number[] = [];
  while (received.length < 3) {
    for (const { headId } of await subscription.nextBatch() ?? assert.fail("it ended")) received.push(headId);
  }
  assert.deepEqual(received, [2, 3, 4]);
  await subscription.close();
  assert.equal(await daemon.stop(), 0, daemon.log);
});

Deno.test("SIGHUP without a certificate changes nothing", async () => {
  await using daemon = await DaemonProcess.start(memory);
  daemon.signal("SIGHUP");
  await daemon.logged(/neither a certificate nor a file of tokens/);
  assert.equal(await publish(daemon.address), 1);
});

async function bundle(folder: string): Promise<string> {
  const script = `${folder}/script.mjs`;
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["bundle", "--output", script, new URL("tls_script.ts", import.meta.url).pathname],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return script;
}

Deno.test("the SDK and @grpc/grpc-js under Node speak TLS and mTLS with the daemon", async () => {
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([
    ...memory,
    ...files.mutual,
    "--listen",
    "127.0.0.1:0",
  ]);
  const script = await bundle(files.path("."));
  const ca = await files.put("ca.pem", authority.cert);
  const strangerCa = await files.put("stranger.pem", stranger.cert);
  const [cert, key] = [await files.put("c.pem", client.cert), await files.put("k.pem", client.key)];
  const run = async (...args: readonly string[]) => {
    const [mode = "", ...rest] = args;
    const { stdout, stderr } = await new Deno.Command("node", {
      args: [script, mode, portOf(daemon.address), ...rest],
    }).output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    assert.notEqual(lines[0], "", new TextDecoder().decode(stderr));
    return lines.map((line) => JSON.parse(line));
  };
  assert.deepEqual(await run("sdk", ca, cert, key), [1, 2]);
  for (const message of await run("sdk", ca)) {
    assert.match(message, /^UNAVAILABLE .*a client certificate is demanded/);
  }
  for (const message of await run("sdk", strangerCa, cert, key)) {
    assert.match(message, /^UNAVAILABLE .*no trusted authority/);
  }
  const fingerprint = sha256Of(daemon);
  assert.deepEqual(await run("pinned", fingerprint, cert, key), [3, 4]);
  for (const message of await run("pinned", "0".repeat(64), cert, key)) {
    assert.match(message, new RegExp(`^UNAVAILABLE .*none of those .* sha256 ${fingerprint}`));
  }
  for (const message of await run("pinned", fingerprint)) {
    assert.match(message, /^UNAVAILABLE .*a client certificate is demanded/);
  }
  assert.deepEqual(await run("grpc-js", ca, cert, key), [true]);
  assert.match((await run("grpc-js", ca))[0], /^(PERMISSION_DENIED|UNAVAILABLE) /);
  assert.match((await run("grpc-js", strangerCa, cert, key))[0], /^UNAVAILABLE /);
});

Deno.test("a session that is resumed after the client authorities were exchanged is refused", async () => {
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, ...files.mutual]);
  const script = await bundle(files.path("."));
  const [cert, key] = [await files.put("c.pem", client.cert), await files.put("k.pem", client.key)];
  const child = new Deno.Command("node", {
    args: [script, "resume", portOf(daemon.address), await files.put("ca.pem", authority.cert), cert, key],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const input = child.stdin.getWriter();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let lines: string[] = [];
  const line = async (): Promise<string> => {
    while (lines.length === 0) {
      const { value = "", done } = await output.read();
      assert.ok(!done, "the script ended");
      lines = value.trim().split("\n");
    }
    return lines.shift() ?? "";
  };
  assert.equal(await line(), '"session"');
  await input.write(new TextEncoder().encode("again\n"));
  assert.equal(await line(), '"resumed"', "this is what the runtime lets in unseen");
  assert.equal(await line(), '"closed"');
  assert.doesNotMatch(daemon.log, /got no connection/);
  await files.write(server, stranger.cert);
  daemon.signal("SIGHUP");
  await daemon.logged(/reloaded the certificate/);
  await input.write(new TextEncoder().encode("again\n"));
  assert.equal(await line(), '"resumed"');
  await loggedRefusal(daemon, "no authority that is trusted here vouches for the client certificate");
  await input.close();
  await child.status;
  await output.cancel();
});

Deno.test("curl reaches the daemon over mTLS, with ALPN", async () => {
  try {
    await new Deno.Command("curl", { args: ["--version"], stdout: "null", stderr: "null" }).output();
  } catch {
    console.log("skipped: needs curl (apt-get install curl)");
    return;
  }
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, ...files.mutual]);
  const url = `https://localhost:${portOf(daemon.address)}/`;
  const ca = await files.put("ca.pem", authority.cert);
  const curl = async (...args: readonly string[]) => {
    const { stdout } = await new Deno.Command("curl", {
      args: [
        "--silent",
        "--http2",
        "--cacert",
        ca,
        "--write-out",
        "%{http_version} %{http_code}",
        ...args,
        url,
      ],
      stderr: "null",
    }).output();
    return new TextDecoder().decode(stdout);
  };
  const [cert, key] = [await files.put("c.pem", client.cert), await files.put("k.pem", client.key)];
  // A GET is no gRPC, and answered as such.
  assert.match(
    await curl("--cert", cert, "--key", key),
    /the method is GET; this server speaks gRPC.*\n2 405$/,
  );
  assert.match(await curl(), / 000$/);
  await loggedRefusal(daemon, "a client certificate is demanded and none was shown");
});

Deno.test("the command line speaks TLS and mTLS by flags and by variables", async () => {
  await using files = await Files.make();
  await using daemon = await DaemonProcess.start([...memory, ...files.mutual]);
  const ca = await files.put("ca.pem", authority.cert);
  const [cert, key] = [await files.put("c.pem", client.cert), await files.put("k.pem", client.key)];
  const flags = ["--tls-ca", ca, "--tls-cert", cert, "--tls-key", key];
  const pub = ["pub", "t", "x", "--connect", daemon.address];
  assert.equal((await runMsgbusd([...pub, ...flags])).code, 0);
  assert.equal((await runMsgbusd([...pub, ...flags, "--tls-server-name", "localhost"])).code, 0);
  const named = await runMsgbusd([...pub, ...flags, "--tls-server-name", "other"]);
  assert.equal(named.code, 3);
  assert.match(named.stderr, /for another name: "other"/);
  const ready = await runMsgbusd(["ready"], {
    MSGBUS_CONNECT: daemon.address.replace("https://", ""),
    MSGBUS_CONNECT_TLS_CA: ca,
    MSGBUS_CONNECT_TLS_CERT: cert,
    MSGBUS_CONNECT_TLS_KEY: key,
  });
  assert.equal(ready.code, 0, ready.stderr);
  const fingerprint = sha256Of(daemon);
  const pinned = await runMsgbusd([
    ...pub,
    "--tls-fingerprint",
    fingerprint,
    "--tls-cert",
    cert,
    "--tls-key",
    key,
  ]);
  assert.equal(pinned.code, 0, pinned.stderr);
  const strange = await runMsgbusd([
    ...pub,
    "--tls-fingerprint",
    "0".repeat(64),
    "--tls-cert",
    cert,
    "--tls-key",
    key,
  ]);
  assert.equal(strange.code, 3);
  assert.match(strange.stderr, new RegExp(`none of those .* sha256 ${fingerprint}`));
  for (
    const [args, text] of [
      [
        ["--tls-fingerprint", fingerprint, "--tls-ca", ca],
        /--tls-ca would not be asked beside --tls-fingerprint/,
      ],
      [["--tls-fingerprint", "abc"], /"abc" is no SHA-256/],
      [["--tls-ca", `${ca}x`], /--tls-ca ".*": it does not exist/],
      [["--tls-ca", ca, "--tls-cert", cert], /--tls-cert and --tls-key belong together/],
    ] as const
  ) {
    const { code, stderr } = await runMsgbusd([...pub, ...args]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, text);
  }
});
