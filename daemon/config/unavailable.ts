import type { Config } from "./config.ts";
import { ConfigError } from "./error.ts";
import type { Setting } from "./setting.ts";
import type { SettingReader } from "./setting_reader.ts";
import { SETTINGS } from "./settings.ts";

/**
 * Refuses what belongs to the contract but not to this version: starting without it would keep messages elsewhere than asked. Throws ConfigError "not_available".
 */
export function refuseUnavailable(config: Config, reader: SettingReader): void {
  if (config.storage === "kv") throw unavailable(reader, SETTINGS.storage, "kv storage", " kv");
}

function unavailable(
  reader: SettingReader,
  setting: Setting<unknown>,
  what: string,
  value = "",
): ConfigError {
  return new ConfigError(
    "not_available",
    `Cannot use ${reader.describe(setting)}${value}: this version has no ${what} yet; leave it out`,
  );
}
