import { type Command, Option } from "commander";
import { usageOf } from "../config/setting.ts";
import { ALL_SETTINGS } from "../config/settings.ts";
import { CliError } from "./error.ts";
import type { Invocation } from "./invocation.ts";
import { serve } from "./plain_serve.ts";

/** `serve`, which is also what runs where no command is named: the daemon. */
export function addServe(program: Command, invocation: Invocation): void {
  const given = new Map<string, readonly string[]>();
  const command = program.command("serve", { isDefault: true })
    .description("Run the daemon; also what runs without a command")
    // Without a known command, everything comes here: a misspelt one must be called by that name.
    .allowExcessArguments();
  for (const setting of ALL_SETTINGS) {
    const { flag, argument, env, default: standard, doc } = setting;
    const origin = standard === undefined ? env : `default: ${standard}, ${env}`;
    const option = new Option(usageOf(setting), `${doc} [${origin}]`);
    if (argument === undefined) {
      command.on(`option:${option.name()}`, () => void given.set(flag, ["true"]));
    } else {
      option.argParser((text: string) => {
        const texts = [...given.get(flag) ?? [], text];
        given.set(flag, texts);
        return texts;
      });
    }
    command.addOption(option);
  }
  command.action(async () => {
    const [unknown] = command.args;
    if (unknown !== undefined) {
      throw new CliError("USAGE", `There is no command ${JSON.stringify(unknown)}; see msgbusd --help`);
    }
    invocation.exitCode = await serve(given, invocation.io);
  });
}
