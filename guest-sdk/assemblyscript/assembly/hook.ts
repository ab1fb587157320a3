/** Hooks: decisions on the events of coding agents. */

import { HookDecision, HookInput, HookOutput, nameOfHookEvent } from "./generated/types";
import { JsonWriter } from "./json";
import { fail, inputReader, output, plugin } from "./plugin";

/** Proceed without asking the user. */
export function allow(): HookOutput {
  return HookOutput.of(HookDecision.Allow);
}

/** Do not proceed, for this reason. */
export function deny(reason: string): HookOutput {
  const decision = HookOutput.of(HookDecision.Deny);
  decision.reason = reason;
  return decision;
}

/** Ask the user, for this reason. */
export function ask(reason: string): HookOutput {
  const decision = HookOutput.of(HookDecision.Ask);
  decision.reason = reason;
  return decision;
}

/** No decision. */
export function pass(): HookOutput {
  return HookOutput.of(HookDecision.Pass);
}

/** The body of a hook's export. The hook that was added last decides. */
export function answerHook(event: string): i32 {
  const reader = inputReader();
  const input = HookInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  const hooks = plugin().hooks;
  for (let at = hooks.length - 1; at >= 0; at--) {
    if (nameOfHookEvent(hooks[at].event) != event) continue;
    const writer = new JsonWriter();
    hooks[at].run(input).write(writer);
    return output(writer);
  }
  return fail(`the plugin has no hook for ${event}`);
}
