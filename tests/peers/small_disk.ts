/** A file system of its own, in memory, whose size is known and can be changed. */
export class SmallDisk implements AsyncDisposable {
  /** Where it is. */
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /** Makes one; undefined, with a line that says so, where this system or user can't. */
  static async make(megabytes: number): Promise<SmallDisk | undefined> {
    const disk = new SmallDisk(await Deno.makeTempDir({ prefix: "msgbus-test-" }));
    try {
      await run("mount", "-t", "tmpfs", "-o", `size=${megabytes}m`, "msgbus-test", disk.path);
      return disk;
    } catch (error) {
      console.log(`skipped: needs root and mount (${error instanceof Error ? error.message : error})`);
      await Deno.remove(disk.path);
      return undefined;
    }
  }

  async resize(megabytes: number): Promise<void> {
    await run("mount", "-o", `remount,size=${megabytes}m`, this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await run("umount", this.path);
    await Deno.remove(this.path);
  }
}

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
