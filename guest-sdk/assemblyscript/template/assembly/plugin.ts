import { Arguments, failedBy, JsonObject, object, objectResult, Plugin, Tool } from "exomonad-guest/assembly/index";
import * as git from "exomonad-guest/assembly/generated/git";
import { CallToolResult, Context } from "exomonad-guest/assembly/generated/types";

// What the host calls. A plugin with hooks, resources, prompts or workflows exports their modules, too.
export * from "exomonad-guest/assembly/exports/tools";

/** Greets someone, with the current branch. */
function greet(input: Arguments, context: Context): CallToolResult {
  const head = git.getBranch();
  if (!head.ok) return failedBy(head.error);
  const branch = head.value.branch;
  const place = branch === null ? "nowhere" : branch;
  return objectResult(new JsonObject().text("text", `Hello ${input.text("name")} on ${place}`).json());
}

new Plugin("{{name}}", "0.1.0").tool(
  new Tool("greet", "Greets someone, with the current branch.", object().text("name", "The name."), greet)
    .withOutput(object().text("text", "The text."))
    .readOnly(),
);
