/** Plugins: tools, hooks, resources, prompts and workflows under a name. */

import { input, setError, setOutput } from "./abi";
import {
  CallToolResult,
  CompleteInput,
  Content,
  ContentText,
  Context,
  EffectError,
  HookEvent,
  HookInput,
  HookOutput,
  ListToolsResult,
  PluginDescription,
  Tool as ToolListing,
  ToolAnnotations,
  ToolCallInput,
} from "./generated/types";
import { Json, JsonReader, JsonWriter, some } from "./json";
import { Arguments, object, ObjectSchema } from "./schema";

/** The SDK and its version, as `describe` has it. */
const SDK = "assemblyscript/0.1.0";

/** A tool's function, from its arguments to its result. It is a plain function: there are no closures. */
export type ToolFunction = (input: Arguments, context: Context) => CallToolResult;

/** A tool of a plugin. */
export class Tool {
  /** A display name for people. */
  title: string | null = null;
  /** The schema of its result. */
  output: ObjectSchema | null = null;
  /** Hints about its behaviour. */
  annotations: ToolAnnotations | null = null;

  constructor(
    /** The name by which it is called. */
    readonly name: string,
    /** What it does, and when to use it. Models read it. */
    readonly description: string,
    /** Its arguments. */
    readonly schema: ObjectSchema,
    readonly run: ToolFunction,
  ) {}

  /** Says what the result has. */
  withOutput(schema: ObjectSchema): this {
    this.output = schema;
    return this;
  }

  /** Says that it changes nothing. */
  readOnly(): this {
    const annotations = new ToolAnnotations();
    annotations.readOnlyHint = some(true);
    this.annotations = annotations;
    return this;
  }

  listing(): ToolListing {
    const listing = ToolListing.of(this.name, this.schema.json());
    listing.title = this.title;
    listing.description = this.description;
    const output = this.output;
    if (output !== null) listing.outputSchema = output.json();
    listing.annotations = this.annotations;
    return listing;
  }
}

/** A text as a tool's result. */
export function textResult(text: string): CallToolResult {
  const result = new CallToolResult();
  result.content.push(ContentText.of(text));
  return result;
}

/** An object as a tool's result, also as text for models that only read text. */
export function objectResult(json: Json): CallToolResult {
  const result = textResult(json.text);
  result.structuredContent = json;
  return result;
}

/** A failure that the caller may do something about: the model reads the message. */
export function failed(message: string): CallToolResult {
  const result = textResult(message);
  result.isError = true;
  return result;
}

/** The failure of an effect as a tool's result. */
export function failedBy(error: EffectError | null): CallToolResult {
  return failed(error === null ? "the effect failed" : error.message);
}

/** A hook's function. */
export type HookFunction = (input: HookInput) => HookOutput;

/** A hook of a plugin. */
export class Hook {
  constructor(
    readonly event: HookEvent,
    readonly run: HookFunction,
  ) {}
}

/** Completes a text of which the beginning is there; the best first. */
export type CompleteFunction = (input: CompleteInput) => Array<string>;

/** A plugin. Making one registers it: it has to be a value of the file that is built. */
export class Plugin {
  readonly tools: Array<Tool> = [];
  readonly hooks: Array<Hook> = [];

  constructor(
    readonly name: string,
    readonly version: string,
  ) {
    registered = this;
  }

  /** Adds a tool. */
  tool(tool: Tool): this {
    this.tools.push(tool);
    return this;
  }

  /** Adds a hook. The plugin has to export its module, `exports/pre_tool_use`, too. */
  hook(event: HookEvent, run: HookFunction): this {
    this.hooks.push(new Hook(event, run));
    return this;
  }
}

let registered: Plugin | null = null;

/** The plugin of this module. */
export function plugin(): Plugin {
  return registered!;
}

/** Sets the output of the call. */
export function output(writer: JsonWriter): i32 {
  setOutput(writer.pointer, writer.byteLength);
  return 0;
}

/** Fails the call. */
export function fail(message: string): i32 {
  setError(message);
  return 1;
}

/** A reader of the input. */
export function inputReader(): JsonReader {
  return new JsonReader(input());
}

/** The body of `handle_list_tools`. */
export function listTools(): i32 {
  const result = new ListToolsResult();
  const tools = plugin().tools;
  for (let at = 0; at < tools.length; at++) result.tools.push(tools[at].listing());
  const writer = new JsonWriter();
  result.write(writer);
  return output(writer);
}

function called(call: ToolCallInput): CallToolResult {
  const tools = plugin().tools;
  let known = "";
  for (let at = 0; at < tools.length; at++) {
    const tool = tools[at];
    if (tool.name == call.name) {
      const given = call.arguments;
      const reader = given === null || given.isNull ? new Json("{}").reader() : given.reader();
      const input = tool.schema.read(reader);
      if (!reader.finish()) return failed(`the arguments do not fit: ${reader.problem}`);
      return tool.run(input, call.context);
    }
    known += (at > 0 ? ", " : "") + tool.name;
  }
  return failed(`no tool \`${call.name}\`; there are ${known}`);
}

/** The body of `handle_mcp_call`. */
export function callTool(): i32 {
  const reader = inputReader();
  const call = ToolCallInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  const writer = new JsonWriter();
  called(call).write(writer);
  return output(writer);
}

/** The body of `describe`. */
export function describe(): i32 {
  const description = PluginDescription.of(plugin().name, plugin().version);
  description.sdk = SDK;
  const writer = new JsonWriter();
  description.write(writer);
  return output(writer);
}

/** A part of a result that is a text. */
export function textContent(text: string): Content {
  return ContentText.of(text);
}

export { object };
