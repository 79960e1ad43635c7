/** The programs that run scripts of the SDK, and how to install those that a machine may lack. */
const INTERPRETERS = {
  node: undefined, // needed for everything here
  bun: "npm install --global bun",
} as const;

/** The name of such a program. */
export type Interpreter = keyof typeof INTERPRETERS;

/** All of them. */
export const ALL_INTERPRETERS = Object.keys(INTERPRETERS) as readonly Interpreter[];

/** Whether it can be run; says in a line how to install it where it can't. */
export async function isInstalled(interpreter: Interpreter): Promise<boolean> {
  const wish = INTERPRETERS[interpreter];
  if (wish === undefined) return true;
  try {
    await new Deno.Command(interpreter, { args: ["--version"] }).output();
    return true;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(`skipped: no ${interpreter} on PATH; ${wish}`);
    return false;
  }
}
