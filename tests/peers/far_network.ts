/** A network of the system with one address of its own, behind a link that can be taken down and spoilt. */
export class FarNetwork implements AsyncDisposable {
  /** The address there. */
  readonly hostname: string;
  /** The address on this side of the link. */
  readonly nearHostname: string;
  /** Runs a command there. */
  readonly within: readonly string[];
  readonly #name: string;
  readonly #near: string;
  readonly #far: string;

  private constructor(name: string, number: number) {
    const [high, low] = [number >> 6, (number & 63) << 2];
    this.#name = name;
    this.#near = `mbn${number}`;
    this.#far = `mbf${number}`;
    // Addresses of the range for benchmarks (RFC 2544), and names of at most 15 bytes, that other runs do not have.
    this.hostname = `198.18.${high}.${low + 2}`;
    this.nearHostname = `198.18.${high}.${low + 1}`;
    this.within = ["ip", "netns", "exec", name];
  }

  /** Makes one; undefined, with a line that says so, where this system or user can't. */
  static async make(): Promise<FarNetwork | undefined> {
    // Tests of one process have one each.
    const number = (Deno.pid + 4_096 * made++) % 16_384;
    const name = `msgbus${number}`;
    const network = new FarNetwork(name, number);
    const near = network.#near;
    const far = network.#far;
    try {
      await run("ip", "netns", "add", name);
      await run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", name);
      await run("ip", "address", "add", `${network.nearHostname}/30`, "dev", near);
      await run("ip", "link", "set", near, "up");
      await run("ip", "-n", name, "address", "add", `${network.hostname}/30`, "dev", far);
      await run("ip", "-n", name, "link", "set", far, "up");
      return network;
    } catch (error) {
      console.log(
        `skipped: needs root and ip netns (${error instanceof Error ? error.message : error})`,
      );
      await network[Symbol.asyncDispose]();
      return undefined;
    }
  }

  /** Takes the link down, or up again. */
  async link(state: "up" | "down"): Promise<void> {
    await run("ip", "link", "set", this.#near, state);
  }

  /** Lets so many bits a second pass each way, as `tc` writes them; false, with a line that says so, where this system can't. */
  async slow(rate: string): Promise<boolean> {
    const how = ["root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms"];
    try {
      await run("tc", "qdisc", "replace", "dev", this.#near, ...how);
      await run("tc", "-n", this.#name, "qdisc", "replace", "dev", this.#far, ...how);
      return true;
    } catch (error) {
      console.log(`skipped: needs tc tbf (${error instanceof Error ? error.message : error})`);
      return false;
    }
  }

  /** Spoils what goes there, as `tc netem` says; false, with a line that says so, where this system can't. */
  async spoil(...how: readonly string[]): Promise<boolean> {
    try {
      await run("tc", "qdisc", "replace", "dev", this.#near, "root", "netem", ...how);
      return true;
    } catch (error) {
      console.log(`skipped: needs tc netem (${error instanceof Error ? error.message : error})`);
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const args of [["link", "delete", this.#near], ["netns", "delete", this.#name]]) {
      await run("ip", ...args).catch(() => {}); // what was not made can't be deleted
    }
  }
}

/** How many networks this process has made. */
let made = 0;

async function run(program: string, ...args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args: [...args] }).output();
  if (!success) throw new Error(`${program} ${args.join(" ")}: ${new TextDecoder().decode(stderr).trim()}`);
}
