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

for (const name of ["grpc", "sdk"]) {
  Deno.test(`@msgbus/${name}: every exported symbol is documented and typed`, async () => {
    const { success, text } = await deno(["doc", "--lint", "mod.ts"], name);
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

Deno.test("@msgbus/proto: the schema is lint clean", async () => {
  const { success, text } = await deno(["run", "-A", BUF, "lint"], "proto");
  assert.ok(success, text);
});

Deno.test("@msgbus/proto: the generated code is the schema's", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const { success, text } = await deno(["run", "-A", BUF, "generate", "--output", folder], "proto");
    assert.ok(success, text);
    for (const path of ["gen/msgbus/v1/msgbus_pb.ts"]) {
      assert.equal(
        await Deno.readTextFile(new URL(`proto/${path}`, ROOT)),
        await Deno.readTextFile(`${folder}/${path}`),
        `proto/${path} is stale: run "deno task proto"`,
      );
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
