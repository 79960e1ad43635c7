/** What the published packages promise: documented, no slow types, generated code that is not stale. */
import assert from "node:assert/strict";

const ROOT = new URL("..", import.meta.url);
const BUF = "npm:@bufbuild/buf@1.74.0/buf";

async function deno(args: readonly string[], cwd = "."): Promise<{ success: boolean; text: string }> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    cwd: new URL(`${cwd}/`, ROOT),
    env: { NO_COLOR: "1" },
  }).output();
  const decoder = new TextDecoder();
  return { success, text: decoder.decode(stdout) + decoder.decode(stderr) };
}

for (
  const [name, modules] of [
    ["grpc", ["mod.ts", "error_details.ts", "health.ts", "quic.ts", "reflection.ts", "serving.ts", "tls.ts"]],
    ["sdk", ["mod.ts"]],
  ] as const
) {
  Deno.test(`@msgbus/${name}: every exported symbol is documented and typed`, async () => {
    const { success, text } = await deno(["doc", "--lint", ...modules], name);
    assert.ok(success, text);
  });
}

Deno.test("@msgbus/proto: every exported symbol is documented", async () => {
  // Types of the generator's runtime library count as private there: those findings are not ours to mend.
  const { text } = await deno(["doc", "--lint", "mod.ts"], "proto");
  assert.doesNotMatch(text, /missing-jsdoc|missing-explicit-type|missing-return-type/);
});

for (const name of ["proto", "grpc", "sdk"]) {
  Deno.test(`@msgbus/${name}: could be published, without slow types`, async () => {
    const { success, text } = await deno(["publish", "--dry-run", "--allow-dirty"], name);
    assert.ok(success, text);
    assert.doesNotMatch(text, /slow-type|Warning/);
  });
}

Deno.test("the packages, and nothing else, could be published together, from the top", async () => {
  const { success, text } = await deno(["publish", "--dry-run", "--allow-dirty"]);
  assert.ok(success, text);
  assert.doesNotMatch(text, /slow-type|Warning/);
  const published = [...text.matchAll(/Simulating publish of (@[\w/]+)@/g)].map(([, name]) => name);
  assert.deepEqual(published.sort(), ["@msgbus/grpc", "@msgbus/proto", "@msgbus/sdk"]);
});

/** Folders with schemas, and the code that is generated from them. */
const SCHEMAS: Readonly<Record<string, readonly string[]>> = {
  "proto": ["msgbus/v1/msgbus_pb.ts"],
  "grpc/standard": [
    "google/rpc/error_details_pb.ts",
    "google/rpc/status_pb.ts",
    "grpc/health/v1/health_pb.ts",
    "grpc/reflection/v1/reflection_pb.ts",
    "grpc/reflection/v1alpha/reflection_pb.ts",
  ],
};

for (const [folder, generated] of Object.entries(SCHEMAS)) {
  Deno.test(`${folder}: the schema is lint clean`, async () => {
    const { success, text } = await deno(["run", "-A", BUF, "lint"], folder);
    assert.ok(success, text);
  });

  Deno.test(`${folder}: the generated code is the schema's`, async () => {
    const output = await Deno.makeTempDir();
    try {
      const { success, text } = await deno(["run", "-A", BUF, "generate", "--output", output], folder);
      assert.ok(success, text);
      for (const path of generated) {
        assert.equal(
          await Deno.readTextFile(new URL(`${folder}/gen/${path}`, ROOT)),
          await Deno.readTextFile(`${output}/gen/${path}`),
          `${folder}/gen/${path} is stale: run "deno task proto"`,
        );
      }
    } finally {
      await Deno.remove(output, { recursive: true });
    }
  });
}
