import { definePlugin, defineTool, t } from "exomonad-guest";
import * as git from "exomonad-guest/git";

/** Greets someone, with the current branch. */
export const greet = defineTool({
  name: "greet",
  description: "Greets someone, with the current branch.",
  input: t.object({ name: t.string("The name.") }),
  output: t.object({ text: t.string("The text.") }),
  annotations: { readOnlyHint: true },
  run({ name }) {
    const { branch } = git.getBranch();
    return { text: `Hello ${name} on ${branch ?? "nowhere"}` };
  },
});

export default definePlugin({ name: "{{name}}", version: "0.1.0", tools: [greet] });
