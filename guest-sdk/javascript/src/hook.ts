/** Hooks: decisions on the events of coding agents. */

import type { HookEvent, HookInput, HookOutput } from "./generated/types.js";

/** A hook of a plugin. */
export interface Hook {
  /** The event that it decides on. */
  event: HookEvent;
  run(input: HookInput): HookOutput | Promise<HookOutput>;
}

/** Defines a hook: a function from an event to a decision, which {@link allow}, {@link deny} and the others make. */
export function defineHook(event: HookEvent, run: (input: HookInput) => HookOutput | Promise<HookOutput>): Hook {
  return { event, run };
}

/** Proceed without asking the user. */
export function allow(options?: { payload?: unknown }): HookOutput {
  return { decision: "allow", ...options };
}

/** Do not proceed, for this reason. */
export function deny(reason: string, options?: { payload?: unknown }): HookOutput {
  return { decision: "deny", reason, ...options };
}

/** Ask the user, for this reason. */
export function ask(reason: string, options?: { payload?: unknown }): HookOutput {
  return { decision: "ask", reason, ...options };
}

/** No decision. */
export function pass(options?: { payload?: unknown }): HookOutput {
  return { decision: "pass", ...options };
}
