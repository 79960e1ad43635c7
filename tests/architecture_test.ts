/**
 * The layers of ARCHITECTURE.md as data: which folder may import which. A new edge is a change to this table.
 */
import assert from "node:assert/strict";

const ROOT = new URL("..", import.meta.url);
const PACKAGES: Readonly<Record<string, string>> = {
  "@msgbus/grpc": "grpc",
  "@msgbus/proto": "proto",
  "@msgbus/sdk": "sdk",
};

/** Longest prefix wins. Each folder may always import itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "proto": [],
  "grpc": ["grpc/transport", "grpc/http2"],
  "grpc/transport": ["grpc/clock.ts"],
  "grpc/http2": [],
  "sdk": ["grpc", "proto"],
  "daemon/bus": ["daemon/store/store.ts"],
  "daemon/store": [],
  "daemon/service": ["daemon/bus", "daemon/store/store.ts", "daemon/store/message_codec.ts", "grpc", "proto"],
  "daemon/gateway": ["daemon/bus"],
  "daemon/sync": ["daemon/bus", "daemon/store/store.ts", "grpc", "proto"],
  "daemon/config": [],
  "daemon/discovery": ["daemon/config"],
  "daemon/auth": ["daemon/bus", "grpc"],
  "daemon/cli": ["sdk", "daemon/config", "daemon/auth", "daemon/bus/grants.ts"],
  "daemon": ["daemon", "grpc", "proto", "sdk"],
  "tests": ["tests", "daemon", "grpc", "proto", "sdk", "bench"],
  "bench": ["tests", "grpc", "proto", "sdk"],
};

/** What the tests of a folder may use beside that: the real store that needs no file. */
const TESTS_MAY_ALSO_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "daemon/bus": ["daemon/store/memory"],
  "daemon/auth": ["daemon/store/memory"],
  "daemon/service": ["daemon/store/memory"],
  "daemon/sync": ["daemon/store/memory", "daemon/service"],
};

/** Only the listed folders open sockets. */
const MAY_OPEN_SOCKETS = ["grpc/transport", "daemon/gateway", "daemon/discovery"];
/** Folders of the daemon that only those pay for who ask for what they do. */
const LOADED_ON_DEMAND = ["daemon/discovery"];
/** What a daemon loads that nobody has called yet, and what must not be among it: each costs it megabytes. */
const IDLE_DAEMON = ["daemon/main.ts", "daemon/run_daemon.ts", "daemon/store/sqlite/worker.ts"];
const NOT_IN_AN_IDLE_DAEMON = [
  "npm:",
  "proto",
  "sdk",
  "daemon/store/memory",
  "daemon/sync/synchronizer.ts",
  "grpc/mod.ts",
  "grpc/channel.ts",
  "grpc/client_session.ts",
  "grpc/client_stream.ts",
  "grpc/standard",
  "grpc/transport/node_socket.ts",
  "grpc/transport/tls_server.ts",
];
/** Code that takes bytes and gives events: no waiting, no runtime, no clock (STYLE.md, rule 2). */
const SANS_IO = [
  "grpc/http2",
  "grpc/message_reader.ts",
  "grpc/metadata.ts",
  "grpc/timeout.ts",
  "grpc/percent.ts",
];
/** Packages that must also run on Node and in browsers. */
const RUNTIME_NEUTRAL = ["grpc", "proto", "sdk"];
/** The entry points and the order of start and stop: no folder below imports them. */
const ENTRY_POINTS = ["daemon/main.ts", "daemon/daemon.ts"];

/** Written by a generator, whose ways are its own. */
const GENERATED = ["proto/gen", "grpc/standard/gen"];

interface SourceFile {
  readonly path: string;
  readonly text: string;
  readonly code: string;
}

async function sources(folder: string): Promise<SourceFile[]> {
  const found: SourceFile[] = [];
  for await (const entry of Deno.readDir(new URL(`${folder}/`, ROOT))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory && !GENERATED.includes(path)) found.push(...await sources(path));
    if (entry.isFile && entry.name.endsWith(".ts")) {
      const text = await Deno.readTextFile(new URL(path, ROOT));
      found.push({ path, text, code: withoutComments(text) });
    }
  }
  return found;
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

function importsOf({ path, code }: SourceFile): string[] {
  const specifiers = [
    ...code.matchAll(/(?:^|[\s;])(?:import|export)\b[^"';]*?from\s*"([^"]+)"/g),
    ...code.matchAll(/\bimport\s*\(?\s*"([^"]+)"/g),
  ]
    .map((match) => match[1] ?? "");
  return specifiers.flatMap((specifier) => {
    if (specifier.startsWith(".")) return [new URL(specifier, new URL(path, "file:///")).pathname.slice(1)];
    const [name, folder] = Object.entries(PACKAGES).find(([name]) => within(specifier, name)) ?? [];
    return name === undefined ? [] : [`${folder}/${specifier.slice(name.length + 1) || "mod"}.ts`];
  });
}

function within(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function layerOf(path: string): string {
  const layers = Object.keys(MAY_IMPORT).filter((layer) => within(path, layer));
  return layers.sort((a, b) => b.length - a.length)[0] ?? assert.fail(`${path} is in no folder of the table`);
}

function isTest(path: string): boolean {
  return /_test\.ts$|\/contract\.ts$|\/test_\w+\.ts$/.test(path) || within(path, "tests") ||
    within(path, "bench");
}

async function allSources(): Promise<SourceFile[]> {
  return (await Promise.all(["proto", "grpc", "sdk", "daemon", "tests", "bench"].map(sources))).flat();
}

Deno.test("architecture: every import is an edge of the table", async () => {
  const wrong: string[] = [];
  for (const file of await allSources()) {
    const layer = layerOf(file.path);
    for (const target of importsOf(file)) {
      const allowed = layerOf(target) === layer ||
        (MAY_IMPORT[layer] ?? []).some((folder) => within(target, folder)) ||
        (isTest(file.path) && (TESTS_MAY_ALSO_IMPORT[layer] ?? []).some((folder) => within(target, folder)));
      if (!allowed) wrong.push(`${file.path} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("architecture: no folder imports the entry points", async () => {
  const wrong: string[] = [];
  for (const file of await allSources()) {
    if (layerOf(file.path) === "daemon" || isTest(file.path)) continue;
    for (const target of importsOf(file)) {
      if (ENTRY_POINTS.includes(target)) wrong.push(`${file.path} imports ${target}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("architecture: protocol code neither waits nor asks the runtime", async () => {
  const wrong = (await allSources()).filter(({ path, code }) =>
    SANS_IO.some((folder) => within(path, folder)) && !isTest(path) &&
    /\bawait\b|\bDeno\.|\bDate\.|\bsetTimeout\b|\bperformance\.|\bMath\.random\b/.test(code)
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("architecture: only transports and the gateway open sockets", async () => {
  const wrong = (await allSources()).filter(({ path, code }) =>
    !isTest(path) && !MAY_OPEN_SOCKETS.some((folder) => within(path, folder)) &&
    /\bDeno\.(listen|connect|serve)|["']node:(net|tls|http|http2)["']/.test(code)
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("architecture: packages for every runtime use Deno only in their transports", async () => {
  const wrong = (await allSources()).filter(({ path, code }) =>
    RUNTIME_NEUTRAL.some((folder) => within(path, folder)) && !within(path, "grpc/transport") &&
    !isTest(path) &&
    /\bDeno\.|Promise\.withResolvers|\.fromBase64|\.toHex\b/.test(code)
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("architecture: the daemon loads no module of Node but SQLite, which an idle one would hold in memory", async () => {
  const wrong = (await sources("daemon")).filter(({ path, code }) =>
    !isTest(path) && !LOADED_ON_DEMAND.some((folder) => within(path, folder)) &&
    /from\s*"node:(?!sqlite")/.test(code)
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

interface ModuleGraph {
  readonly roots: readonly string[];
  readonly redirects: Readonly<Record<string, string>>;
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly code?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/** What is loaded with a module before it runs, without what it loads later: paths, or specifiers of what is not ours. */
async function loadedWith(path: string): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", path],
    cwd: ROOT,
    stderr: "inherit",
  }).output();
  const graph: ModuleGraph = JSON.parse(new TextDecoder().decode(stdout));
  const modules = new Map(graph.modules.map((module) => [module.specifier, module]));
  const loaded = new Set(graph.roots);
  // A set gives what is added to it on the way as well.
  for (const specifier of loaded) {
    for (const { code, isDynamic } of modules.get(specifier)?.dependencies ?? []) {
      const target = code?.specifier;
      if (target !== undefined && isDynamic !== true) loaded.add(graph.redirects[target] ?? target);
    }
  }
  return [...loaded].map((specifier) => specifier.replace(ROOT.href, ""));
}

Deno.test("architecture: an idle daemon holds neither a package of npm nor the client half of gRPC", async () => {
  const loaded = (await Promise.all(IDLE_DAEMON.map(loadedWith))).flat();
  assert.ok(loaded.includes("grpc/server_session.ts"), "the graph is read to its end");
  const wrong = loaded.filter((path) =>
    NOT_IN_AN_IDLE_DAEMON.some((other) => other.endsWith(":") ? path.startsWith(other) : within(path, other))
  );
  assert.deepEqual(wrong, []);
});

Deno.test("architecture: the gRPC core knows no word of msgbus", async () => {
  const wrong = (await sources("grpc")).filter(({ path, text }) =>
    !isTest(path) && /msgbus(?!\/grpc)/i.test(text)
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});

Deno.test("architecture: shipped code has no unfinished words and no forgotten switches", async () => {
  const wrong = (await allSources()).filter(({ path, text }) =>
    path !== "tests/architecture_test.ts" && /\bTODO\b|\bFIXME\b|\bXXX\b|ignore: true|\bonly: true/.test(text)
  );
  assert.deepEqual(wrong.map(({ path }) => path), []);
});
