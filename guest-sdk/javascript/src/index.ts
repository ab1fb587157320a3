/**
 * Plugins for exomonad, in TypeScript and JavaScript. A plugin decides, the host acts.
 *
 * @module
 */

export { type Codec, CodecError, decode, encode, type Integer } from "./codec.js";
export type { Effect, EffectFacts, EffectOfNothing } from "./effect.js";
export { EffectError, ToolError } from "./error.js";
export type * from "./generated/types.js";
export { allow, ask, defineHook, deny, type Hook, pass } from "./hook.js";
export { config, getVariable, log, setVariable } from "./host.js";
export { parse as parseJson, stringify as stringifyJson } from "./json.js";
export { definePlugin, type Plugin, type PluginDefinition } from "./plugin.js";
export { definePrompt, type Prompt, type PromptOutput } from "./prompt.js";
export { type Complete, defineResource, type Resource, type ResourceOutput } from "./resource.js";
export { type Infer, type JsonSchema, type Schema, t } from "./schema.js";
export { defineTool, type Tool, type ToolOutput, ToolResult } from "./tool.js";
export {
  ContinueAsNew,
  defineWorkflow,
  type Query,
  type Run,
  type Workflow,
  WorkflowError,
} from "./workflow-definition.js";
