import { usageOf } from "./setting.ts";
import { ALL_SETTINGS } from "./settings.ts";

/** Every setting as text for people: flag, meaning, default and variable. */
export function configHelp(): string {
  return ALL_SETTINGS.map((setting) => {
    const origin = setting.default === undefined ? "" : `default: ${setting.default}, `;
    return `  ${usageOf(setting)}\n      ${setting.doc} [${origin}${setting.env}]\n`;
  }).join("");
}

/** Every setting as a Markdown table, for the README; a test holds it against the file. */
export function configTable(): string {
  const rows = ALL_SETTINGS.map((setting) => {
    const { env, default: standard, doc } = setting;
    const cells = [
      `\`${usageOf(setting)}\``,
      `\`${env}\``,
      standard === undefined ? "" : `\`${standard}\``,
      doc,
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return ["| Flag | Variable | Default | Meaning |", "|---|---|---|---|", ...rows, ""].join("\n");
}
