import { ALL_SETTINGS } from "./settings.ts";

/** Every setting as text for people: flag, meaning, default and variable. */
export function configHelp(): string {
  return ALL_SETTINGS.map(({ flag, argument, env, default: standard, doc }) =>
    `  ${flag} ${argument}\n      ${doc} [${standard === undefined ? "" : `default: ${standard}, `}${env}]\n`
  ).join("");
}

/** Every setting as a Markdown table, for the README; a test holds it against the file. */
export function configTable(): string {
  const rows = ALL_SETTINGS.map(({ flag, argument, env, default: standard, doc }) => {
    const cells = [
      `\`${flag} ${argument}\``,
      `\`${env}\``,
      standard === undefined ? "" : `\`${standard}\``,
      doc,
    ];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  });
  return ["| Flag | Variable | Default | Meaning |", "|---|---|---|---|", ...rows, ""].join("\n");
}
