/** Plugins: tools, hooks, resources, prompts and workflows under a name. */

import { type Codec, decode, encode } from "./codec.js";
import * as types from "./generated/types.js";
import type { Hook } from "./hook.js";
import { getPrompt, listPrompts, type Prompt } from "./prompt.js";
import { complete, listResources, listTemplates, readResource, type Resource } from "./resource.js";
import { callTool, listing, type Tool } from "./tool.js";
import {
  type AnyWorkflow,
  migrateWorkflow,
  queryWorkflow,
  runWorkflow,
  workflowListing,
} from "./workflow-definition.js";

/** The SDK and its version, as `describe` has it. */
export const SDK = "javascript/0.1.0";

/** A plugin as its author describes it. */
export interface PluginDefinition {
  /** Its name. */
  name: string;
  /** Its version. */
  version?: string;
  tools?: readonly Tool[];
  hooks?: readonly Hook[];
  resources?: readonly Resource[];
  prompts?: readonly Prompt[];
  workflows?: readonly AnyWorkflow[];
}

/** A plugin. */
export type Plugin = Required<PluginDefinition>;

/** Defines the plugin. It has to be the default export of the file that is built. */
export function definePlugin(definition: PluginDefinition): Plugin {
  return { version: "0.1.0", tools: [], hooks: [], resources: [], prompts: [], workflows: [], ...definition };
}

/** An export of a plugin: from the JSON of its input to that of its output. */
export type Entry = (input: () => string) => Promise<string>;

function entry<Input, Output>(
  input: Codec<Input>,
  output: Codec<Output>,
  body: (input: Input) => Output | Promise<Output>,
): Entry {
  return async (read) => encode(output, await body(decode(input, read())));
}

function entryOfNothing<Output>(output: Codec<Output>, body: () => Output | Promise<Output>): Entry {
  return async () => encode(output, await body());
}

/** The exports that a plugin has, by their names. */
export function entriesOf(plugin: Plugin): Map<string, Entry> {
  const { tools, hooks, resources, prompts, workflows } = plugin;
  const entries = new Map<string, Entry>([
    ["handle_list_tools", entryOfNothing(types.ListToolsResult, () => ({ tools: tools.map(listing) }))],
    [
      "handle_mcp_call",
      entry(types.ToolCallInput, types.CallToolResult, (call) =>
        callTool(tools, call.name, call.arguments, call.context),
      ),
    ],
    [
      "describe",
      entryOfNothing(types.PluginDescription, () => ({ name: plugin.name, version: plugin.version, sdk: SDK })),
    ],
  ]);
  for (const hook of hooks) {
    entries.set(
      `handle_${hook.event}`,
      entry(types.HookInput, types.HookOutput, (input) => hook.run(input)),
    );
  }
  if (resources.length) {
    entries.set("handle_list_resources", entryOfNothing(types.ListResourcesResult, () => listResources(resources)));
    entries.set(
      "handle_list_resource_templates",
      entryOfNothing(types.ListResourceTemplatesResult, () => listTemplates(resources)),
    );
    entries.set(
      "handle_read_resource",
      entry(types.ReadResourceInput, types.ReadResourceResult, (input) =>
        readResource(resources, input.uri, input.context),
      ),
    );
  }
  if (prompts.length) {
    entries.set("handle_list_prompts", entryOfNothing(types.ListPromptsResult, () => listPrompts(prompts)));
    entries.set(
      "handle_get_prompt",
      entry(types.GetPromptInput, types.GetPromptResult, (input) =>
        getPrompt(prompts, input.name, input.arguments, input.context),
      ),
    );
  }
  if (resources.length || prompts.length) {
    entries.set(
      "handle_complete",
      entry(types.CompleteInput, types.CompleteResult, (input) => complete(resources, prompts, input)),
    );
  }
  if (workflows.length) {
    entries.set(
      "handle_list_workflows",
      entryOfNothing(types.ListWorkflowsResult, () => ({ workflows: workflows.map(workflowListing) })),
    );
    entries.set(
      "handle_workflow",
      entry(types.WorkflowInput, types.WorkflowOutcome, (input) => runWorkflow(workflows, input)),
    );
    entries.set(
      "handle_query",
      entry(types.WorkflowQueryInput, types.WorkflowQueryResult, (input) => queryWorkflow(workflows, input)),
    );
    entries.set(
      "handle_migrate",
      entry(types.WorkflowMigrateInput, types.WorkflowMigrateResult, (input) => migrateWorkflow(workflows, input)),
    );
  }
  return entries;
}
