import { ConfigError } from "./error.ts";
import type { Setting } from "./setting.ts";

/** Where settings come from. */
export interface ConfigSources {
  /** The texts of each flag that was given, by the flag's name ("--listen"). */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  /** An environment variable. */
  env(name: string): string | undefined;
  /** Why a file can't be opened for reading; undefined where it can. */
  whyUnreadable(path: string): string | undefined;
}

/** Finds the texts of settings in their sources and says where they came from. */
export class SettingReader {
  readonly #sources: ConfigSources;

  /** Reads from these. */
  constructor(sources: ConfigSources) {
    this.#sources = sources;
  }

  /** The value of a setting. Throws ConfigError. */
  value<T>(setting: Setting<T>): T {
    const texts = this.#texts(setting);
    if (texts.length > setting.maxValues) {
      const limit = setting.maxValues === 1 ? "once" : `at most ${setting.maxValues} times`;
      throw new ConfigError(
        "invalid_value",
        `Cannot use ${this.describe(setting)}: it has ${texts.length} values; give it ${limit}`,
      );
    }
    const result = setting.read(texts);
    if ("value" in result) return result.value;
    throw new ConfigError(
      "invalid_value",
      `Cannot use ${this.describe(setting)} ${
        JSON.stringify(result.text)
      }: ${result.problem}; give ${setting.wish}${this.#hint(setting)}`,
    );
  }

  /** The path of a file that must be readable. Throws ConfigError. */
  readable(setting: Setting<string | undefined>): string | undefined {
    const path = this.value(setting);
    const problem = path === undefined ? undefined : this.#sources.whyUnreadable(path);
    if (problem === undefined) return path;
    throw new ConfigError(
      "unreadable_file",
      `Cannot read ${this.describe(setting)} ${JSON.stringify(path)}: ${problem}; give ${setting.wish}`,
    );
  }

  /** The flag, and the variable where the value came from there. */
  describe(setting: Setting<unknown>): string {
    return this.#fromEnv(setting) ? `${setting.flag} (from ${setting.env})` : setting.flag;
  }

  #texts(setting: Setting<unknown>): readonly string[] {
    const flag = this.#sources.flags.get(setting.flag);
    if (flag !== undefined && flag.length > 0) return flag;
    const text = this.#fromEnv(setting) ? this.#sources.env(setting.env) : setting.default;
    if (text === undefined) return [];
    return setting.maxValues === 1 ? [text] : text.split(",").map((part) => part.trim());
  }

  /** What is seldom known of variables. */
  #hint(setting: Setting<unknown>): string {
    return setting.maxValues > 1 && this.#fromEnv(setting) ? ", and commas between several" : "";
  }

  #fromEnv(setting: Setting<unknown>): boolean {
    const given = this.#sources.flags.get(setting.flag)?.length ?? 0;
    return given === 0 && (this.#sources.env(setting.env) ?? "") !== "";
  }
}
