/** The plugin for the suite that the SDKs of all languages pass. */

import {
  CodecError,
  defineHook,
  definePlugin,
  definePrompt,
  defineResource,
  defineTool,
  deny,
  EffectError,
  t,
  ToolError,
} from "exomonad-guest";
import { codecs, effects, events } from "./contract.js";
import { greet } from "./greet.js";

/** The outcome of a conversion, of which a failure is the caller's. */
function converted<T>(what: string, convert: () => T): T {
  try {
    return convert();
  } catch (error) {
    if (error instanceof CodecError) throw new ToolError(`${what}: ${error.message}`, { cause: error });
    throw error;
  }
}

const roundTrip = defineTool({
  name: "round_trip",
  description: "Decodes values as a type of the contract and encodes them again.",
  input: t.object({ kind: t.string("The type."), values: t.array(t.any(), "The values.") }),
  run({ kind, values }) {
    const codec = Object.hasOwn(codecs, kind) ? codecs[kind] : undefined;
    if (!codec) throw new ToolError(`there is no type ${kind}`);
    return {
      values: values.map((value, at) => converted(`values[${at}]`, () => codec.toJson(codec.fromJson(value)))),
    };
  },
});

const perform = defineTool({
  name: "perform",
  description: "Performs an effect.",
  input: t.object({ function: t.string("The effect's function."), request: t.any("Its request.") }),
  run({ function: name, request }) {
    const effect = Object.hasOwn(effects, name) ? effects[name] : undefined;
    if (!effect) throw new ToolError(`there is no effect ${name}`);
    const decoded = converted("request", () => effect.request.fromJson(request));
    try {
      return { answer: effect.answer.toJson(effect(decoded)) };
    } catch (error) {
      if (!(error instanceof EffectError)) throw error;
      return { error: error.toFailure() };
    }
  },
});

const echo = defineTool({
  name: "echo",
  description: "Returns its text.",
  input: t.object({ text: t.string("The text.") }),
  output: t.object({ text: t.string() }),
  run: ({ text }) => ({ text }),
});

const random = defineTool({
  name: "random",
  description: "Draws two random numbers.",
  output: t.object({ numbers: t.array(t.string()) }),
  run: () => ({ numbers: [String(Math.random()), crypto.randomUUID()] }),
});

const fail = defineTool({
  name: "fail",
  description: "Fails with a message.",
  input: t.object({ message: t.string("The message.") }),
  run({ message }) {
    throw new ToolError(message);
  },
});

const crash = defineTool({
  name: "crash",
  description: "Ends the call by an exception.",
  run() {
    throw new Error("the plugin crashed on purpose");
  },
});

const first = defineResource({
  uri: "notes://first",
  name: "first",
  description: "The first note.",
  read: () => "the first note",
});

const note = defineResource({
  uri: "notes://{name}",
  name: "note",
  description: "A note about a name.",
  complete: { name: (value) => ["alpha", "beta"].filter((name) => name.startsWith(value)) },
  read: ({ name }) => `a note about ${name}`,
});

const greetPrompt = definePrompt({
  name: "greet",
  description: "Greets someone.",
  arguments: t.object({ name: t.string("The name.") }),
  complete: { name: (value) => ["Ada", "Grace"].filter((name) => name.startsWith(value)) },
  get: ({ name }) => `Greet ${name}.`,
});

export default definePlugin({
  name: "contract-javascript",
  version: "0.1.0",
  tools: [roundTrip, perform, echo, random, fail, crash],
  hooks: events.map((event) => defineHook(event, (input) => deny(`${event} ${toolOf(input.payload)}`))),
  resources: [first, note],
  prompts: [greetPrompt],
  workflows: [greet],
});

/** The agent's name of the tool that an event is about; an empty text if it is about none. */
function toolOf(payload: unknown): string {
  const { tool_name: name } = (payload ?? {}) as { tool_name?: unknown };
  return typeof name === "string" ? name : "";
}
