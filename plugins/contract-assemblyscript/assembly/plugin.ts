/** The plugin for the suite that the SDKs of all languages pass. */

import {
  Arguments,
  deny,
  failed,
  Json,
  JsonObject,
  JsonWriter,
  object,
  objectResult,
  Plugin,
  Tool,
} from "exomonad-guest/assembly/index";
import {
  CallToolResult,
  CompleteInput,
  Context,
  GetPromptResult,
  HookEvent,
  HookInput,
  HookOutput,
  nameOfHookEvent,
  ReadResourceResult,
} from "exomonad-guest/assembly/generated/types";
import { Prompt, userMessage } from "exomonad-guest/assembly/prompt";
import { Resource, textOf } from "exomonad-guest/assembly/resource";
import { perform, roundTrip } from "./contract";
import "./greet";

export * from "exomonad-guest/assembly/exports/tools";
export * from "exomonad-guest/assembly/exports/resources";
export * from "exomonad-guest/assembly/exports/prompts";
export * from "exomonad-guest/assembly/exports/completion";
export * from "exomonad-guest/assembly/exports/workflows";
export * from "exomonad-guest/assembly/exports/pre_tool_use";
export * from "exomonad-guest/assembly/exports/post_tool_use";
export * from "exomonad-guest/assembly/exports/user_prompt_submit";
export * from "exomonad-guest/assembly/exports/notification";
export * from "exomonad-guest/assembly/exports/session_start";
export * from "exomonad-guest/assembly/exports/session_end";
export * from "exomonad-guest/assembly/exports/stop";
export * from "exomonad-guest/assembly/exports/subagent_stop";
export * from "exomonad-guest/assembly/exports/pre_compact";
export * from "exomonad-guest/assembly/exports/other_event";

function roundTrips(input: Arguments, context: Context): CallToolResult {
  const kind = input.text("kind");
  const values = input.list("values");
  const writer = new JsonWriter();
  writer.beginObject();
  writer.key("values");
  writer.beginArray();
  for (let at = 0; at < values.length; at++) {
    const reader = values[at].reader();
    if (!roundTrip(kind, reader, writer)) return failed(`there is no type ${kind}`);
    if (!reader.finish()) return failed(`values[${at}]: ${reader.problem}`);
  }
  writer.endArray();
  writer.endObject();
  return objectResult(new Json(writer.toString()));
}

function performs(input: Arguments, context: Context): CallToolResult {
  const reader = input.json("request").reader();
  const performed = perform(input.text("function"), reader);
  if (performed === null) return failed(`there is no effect ${input.text("function")}`);
  if (reader.failed) return failed(`request: ${reader.problem}`);
  const answer = performed.answer;
  const error = performed.error;
  const result = new JsonObject();
  if (answer !== null) result.value("answer", answer);
  if (error !== null) {
    const writer = new JsonWriter();
    error.write(writer);
    result.value("error", new Json(writer.toString()));
  }
  return objectResult(result.json());
}

function echo(input: Arguments, context: Context): CallToolResult {
  return objectResult(new JsonObject().text("text", input.text("text")).json());
}

function random(input: Arguments, context: Context): CallToolResult {
  const numbers = [Math.random().toString(), Mathf.random().toString()];
  return objectResult(new JsonObject().texts("numbers", numbers).json());
}

function fail(input: Arguments, context: Context): CallToolResult {
  return failed(input.text("message"));
}

function crash(input: Arguments, context: Context): CallToolResult {
  throw new Error("the plugin crashed on purpose");
}

/** The agent's name of the tool that an event is about; an empty text if it is about none. */
function toolOf(payload: Json): string {
  const name = payload.field("tool_name");
  if (name === null) return "";
  const text = name.asText();
  return text === null ? "" : text;
}

function denies(input: HookInput): HookOutput {
  return deny(`${nameOfHookEvent(input.event)} ${toolOf(input.payload)}`);
}

function firstNote(uri: string, variables: Map<string, string>, context: Context): ReadResourceResult {
  return textOf(uri, "the first note");
}

function note(uri: string, variables: Map<string, string>, context: Context): ReadResourceResult {
  return textOf(uri, `a note about ${variables.get("name")}`);
}

function beginning(values: Array<string>, value: string): Array<string> {
  const found: Array<string> = [];
  for (let at = 0; at < values.length; at++) if (values[at].startsWith(value)) found.push(values[at]);
  return found;
}

function notes(input: CompleteInput): Array<string> {
  return beginning(["alpha", "beta"], input.value);
}

function people(input: CompleteInput): Array<string> {
  return beginning(["Ada", "Grace"], input.value);
}

function greet(input: Map<string, string>, context: Context): GetPromptResult {
  return userMessage(`Greet ${input.get("name")}.`);
}

const plugin = new Plugin("contract-assemblyscript", "0.1.0")
  .tool(
    new Tool(
      "round_trip",
      "Decodes values as a type of the contract and encodes them again.",
      object().text("kind", "The type.").list("values", "The values."),
      roundTrips,
    ),
  )
  .tool(
    new Tool(
      "perform",
      "Performs an effect.",
      object().text("function", "The effect's function.").any("request", "Its request."),
      performs,
    ),
  )
  .tool(new Tool("echo", "Returns its text.", object().text("text", "The text."), echo).readOnly())
  .tool(new Tool("random", "Draws two random numbers.", object(), random).readOnly())
  .tool(new Tool("fail", "Fails with a message.", object().text("message", "The message."), fail))
  .tool(new Tool("crash", "Ends the call by an exception.", object(), crash));

for (let event = HookEvent.PreToolUse; event <= HookEvent.OtherEvent; event++) plugin.hook(event, denies);

new Resource("notes://first", "first", "The first note.", "text/plain", firstNote);
new Resource("notes://{name}", "note", "A note about a name.", "text/plain", note).complete("name", notes);
new Prompt("greet", "Greets someone.", greet).argument("name", "The name.").complete("name", people);
