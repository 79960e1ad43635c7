import type { TempFolder } from "../daemon_process.ts";

/** Where Debian's package faketime puts its library. */
const LIBRARIES = ["x86_64", "aarch64"].map((machine) =>
  `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`
);

/** A wall clock that a process sees instead of the system's, and that can be stepped while it runs. */
export class FakeClock {
  /** Runs a command that sees it. */
  readonly within: readonly string[];
  readonly #file: string;

  private constructor(within: readonly string[], file: string) {
    this.within = within;
    this.#file = file;
  }

  /** Makes one that is off by an offset such as "+1h"; undefined, with a line that says so, where there is no libfaketime. */
  static async make(folder: TempFolder, name: string, offset: string): Promise<FakeClock | undefined> {
    for (const library of LIBRARIES) {
      if (!await Deno.stat(library).then(() => true, () => false)) continue;
      const file = `${folder.path}/${name}.clock`;
      const clock = new FakeClock([
        "env",
        `LD_PRELOAD=${library}`,
        `FAKETIME_TIMESTAMP_FILE=${file}`,
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
      ], file);
      await clock.step(offset);
      return clock;
    }
    console.log("skipped: needs libfaketime (apt-get install faketime)");
    return undefined;
  }

  /** Puts it off by another offset, of the system's clock. */
  async step(offset: string): Promise<void> {
    // Put in place whole: the process may read it at any moment.
    await Deno.writeTextFile(`${this.#file}.new`, `${offset}\n`);
    await Deno.rename(`${this.#file}.new`, this.#file);
  }
}
