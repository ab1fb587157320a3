/** Tools. */

import { failureOf, ToolError } from "./error.js";
import type { CallToolResult, Content, Context, Icon, Tool as ToolListing, ToolAnnotations } from "./generated/types.js";
import { stringify } from "./json.js";
import { type Infer, type JsonSchema, problemOf, type Schema, t } from "./schema.js";

/** A result of a tool that was built by hand. */
export class ToolResult {
  constructor(readonly result: CallToolResult) {}

  /** The result that a run of a workflow will have: the host waits for its end, or gives the client a task. */
  static ofWorkflow(workflowId: string): ToolResult {
    return new ToolResult({ workflowId });
  }
}

/** What a tool may return: an object, a text, a list of contents, nothing, or a result built by hand. */
export type ToolOutput = object | string | number | bigint | boolean | null | undefined | void;

/** A tool as its author describes it. */
export interface ToolDefinition<Input, Output> {
  /** The name by which it is called. */
  name: string;
  /** A display name for people. */
  title?: string;
  /** What it does, and when to use it. Models read it. */
  description: string;
  /** Its arguments; none if it takes nothing. */
  input?: Schema<Input>;
  /** Its result, if that is an object. */
  output?: Schema<Output>;
  /** Hints about its behaviour. */
  annotations?: ToolAnnotations;
  /** Pictures of it, the best first. */
  icons?: Icon[];
  /**
   * The tool. A {@link ToolError} is told to the caller; anything else that is thrown ends the call, and goes to the
   * host's log with its stack.
   */
  run(input: Input, context: Context): Output | ToolResult | Promise<Output | ToolResult>;
}

/** A tool of a plugin. */
// The arguments of a tool are checked against its schema, so a list of tools needs to know nothing of their types.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export interface Tool<Input = any, Output = any> extends ToolDefinition<Input, Output> {}

/** Defines a tool. The types of its arguments and its result are those of its schemas. */
export function defineTool<Input = Record<string, never>, Output = ToolOutput>(
  definition: ToolDefinition<Input, Output>,
): Tool<Input, Output> {
  return definition;
}

const NOTHING: JsonSchema = t.object({}).json;

/** A tool as the host lists it. */
export function listing(tool: Tool): ToolListing {
  const { name, title, description, input, output, annotations, icons } = tool;
  return {
    name,
    title,
    description,
    inputSchema: input?.json ?? NOTHING,
    outputSchema: output?.json,
    annotations,
    icons,
  };
}

const CONTENTS = ["text", "image", "audio", "resource_link", "resource"];

function isContent(value: unknown): value is Content {
  return typeof value === "object" && value !== null && CONTENTS.includes((value as Content).type);
}

/**
 * An object becomes `structuredContent` and, for models that only read text, text with the same content. A text
 * becomes text, and a list of contents is the content.
 */
export function resultOf(output: unknown): CallToolResult {
  if (output instanceof ToolResult) return output.result;
  if (output === undefined) return {};
  if (typeof output === "string") return { content: [{ type: "text", text: output }] };
  if (Array.isArray(output) && output.length && output.every(isContent)) return { content: output };
  const text: Content = { type: "text", text: stringify(output) };
  const isObject = typeof output === "object" && output !== null && !Array.isArray(output);
  return isObject ? { content: [text], structuredContent: output } : { content: [text] };
}

/** Calls a tool. A failure is a result too. */
export async function callTool(
  tools: readonly Tool[],
  name: string,
  input: unknown,
  context: Context,
): Promise<CallToolResult> {
  try {
    const tool = tools.find((one) => one.name === name);
    if (!tool) throw new ToolError(`no tool \`${name}\`; there are ${tools.map((one) => one.name).join(", ")}`);
    const given = input ?? {};
    // The host has checked them already, unless the call comes from elsewhere.
    const problem = problemOf(tool.input?.json ?? NOTHING, given);
    if (problem) throw new ToolError(`the arguments do not fit: ${problem}`, { code: "invalid_input" });
    return resultOf(await tool.run(given, context));
  } catch (error) {
    return { isError: true, content: [{ type: "text", text: failureOf(error).message }] };
  }
}

export type { Infer };
