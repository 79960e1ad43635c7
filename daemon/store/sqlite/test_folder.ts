import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A folder for the files of one test module, removed when the process ends. */
export class TestFolder {
  readonly path: string = mkdtempSync(join(tmpdir(), "msgbus-store-"));

  constructor() {
    globalThis.addEventListener("unload", () => rmSync(this.path, { recursive: true, force: true }));
  }

  file(name: string): string {
    return join(this.path, name);
  }
}
