/** The documents say what is true: settings, commands, and the tests behind the promises. */
import assert from "node:assert/strict";
import { configTable } from "../daemon/config/config_table.ts";

const ROOT = new URL("..", import.meta.url);

async function read(path: string): Promise<string> {
  return await Deno.readTextFile(new URL(path, ROOT));
}

/** Markdown tables are aligned by the formatter: compared are the cells. */
function cells(table: string): string[][] {
  return table.trim().split("\n").filter((line) => !/^\|[\s:|-]+\|$/.test(line)).map((line) =>
    line.split(/(?<!\\)\|/).slice(1, -1).map((cell) => cell.trim())
  );
}

Deno.test("README lists the settings as they are", async () => {
  const table = /<!-- settings:[^>]*-->\n([\s\S]*?)<!-- \/settings -->/.exec(await read("README.md"))?.[1];
  assert.deepEqual(cells(table ?? ""), cells(configTable()));
});

Deno.test("README names tasks that exist, and the two commands", async () => {
  const readme = await read("README.md");
  const { tasks } = JSON.parse(await read("deno.json"));
  for (const [, task] of readme.matchAll(/deno@2\.9\.6 task ([\w:]+)/g)) {
    assert.ok((task ?? "") in tasks, `${task} is no task`);
  }
  for (const command of ["npx --yes deno@2.9.6 task start", "npx --yes deno@2.9.6 task test"]) {
    assert.ok(readme.includes(command), command);
  }
});

Deno.test("the documents link to files that exist", async () => {
  for (
    const [document, folder] of [["README.md", ""], ["docs/GUARANTEES.md", "docs/"], [
      "docs/PERFORMANCE.md",
      "docs/",
    ]] as const
  ) {
    for (const [, target] of (await read(document)).matchAll(/\]\((?!https?:)([^)#]+)/g)) {
      await Deno.stat(new URL(`${folder}${target}`, ROOT));
    }
  }
});

Deno.test("every promise of GUARANTEES has its test", async () => {
  const names: string[] = [];
  const collect = async (folder: string) => {
    for await (const entry of Deno.readDir(new URL(folder, ROOT))) {
      if (entry.isDirectory) await collect(`${folder}${entry.name}/`);
      else if (/_test\.ts$|contract\.ts$/.test(entry.name) && entry.name !== "docs_test.ts") {
        names.push(await read(`${folder}${entry.name}`));
      }
    }
  };
  for (const folder of ["grpc/", "sdk/", "daemon/", "tests/"]) await collect(folder);
  const all = names.join("\n");
  const tables = (await read("docs/GUARANTEES.md")).split("\n").filter((line) => line.startsWith("|"));
  const promises = cells(tables.join("\n")).filter(([id]) => id !== "id");
  assert.ok(promises.length >= 14);
  assert.equal(new Set(promises.map(([id]) => id)).size, promises.length, "ids are unique");
  for (const [id, , test] of promises) {
    const name = (test ?? "").replaceAll("`", "");
    assert.ok(name !== "" && all.includes(name), `${id} has no test: ${name}`);
  }
});
