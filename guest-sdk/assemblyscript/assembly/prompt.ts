/** Prompts. */

import {
  CompleteInput,
  ContentText,
  Context,
  EffectError,
  ErrorCode,
  GetPromptInput,
  GetPromptResult,
  ListPromptsResult,
  MessageRole,
  Prompt as PromptListing,
  PromptArgument,
  PromptMessage,
} from "./generated/types";
import { JsonWriter } from "./json";
import { CompleteFunction, fail, inputReader, output } from "./plugin";

/** The function of a prompt, from its arguments to the messages. */
export type PromptFunction = (input: Map<string, string>, context: Context) => GetPromptResult;

/** A prompt of a plugin. */
export class Prompt {
  /** A display name for people. */
  title: string | null = null;
  readonly parameters: Array<PromptArgument> = [];
  readonly completions: Map<string, CompleteFunction> = new Map();

  constructor(
    /** The name by which it is asked for. */
    readonly name: string,
    /** Its purpose. */
    readonly description: string,
    readonly get: PromptFunction,
  ) {
    prompts.push(this);
  }

  /** Adds an argument, a text. */
  argument(name: string, description: string, isRequired: bool = true): this {
    const argument = PromptArgument.of(name);
    argument.description = description;
    argument.required = isRequired;
    this.parameters.push(argument);
    return this;
  }

  /** Completes an argument. */
  complete(argument: string, values: CompleteFunction): this {
    this.completions.set(argument, values);
    return this;
  }
}

const prompts: Array<Prompt> = [];

/** One message of the person. */
export function userMessage(text: string): GetPromptResult {
  const result = new GetPromptResult();
  result.messages.push(PromptMessage.of(MessageRole.User, ContentText.of(text)));
  return result;
}

/** The body of `handle_list_prompts`. */
export function listPrompts(): i32 {
  const result = new ListPromptsResult();
  for (let at = 0; at < prompts.length; at++) {
    const prompt = prompts[at];
    const listing = PromptListing.of(prompt.name);
    listing.title = prompt.title;
    listing.description = prompt.description;
    listing.arguments = prompt.parameters;
    result.prompts.push(listing);
  }
  const writer = new JsonWriter();
  result.write(writer);
  return output(writer);
}

function failed(code: ErrorCode, message: string): GetPromptResult {
  const result = new GetPromptResult();
  result.error = EffectError.of(code, message);
  return result;
}

function got(input: GetPromptInput): GetPromptResult {
  for (let at = 0; at < prompts.length; at++) {
    const prompt = prompts[at];
    if (prompt.name != input.name) continue;
    for (let nth = 0; nth < prompt.parameters.length; nth++) {
      const argument = prompt.parameters[nth];
      if (argument.required && !input.arguments.has(argument.name)) {
        return failed(ErrorCode.InvalidInput, `the argument \`${argument.name}\` is missing`);
      }
    }
    const result = prompt.get(input.arguments, input.context);
    if (result.description === null && result.error === null) result.description = prompt.description;
    return result;
  }
  return failed(ErrorCode.NotFound, `there is no prompt \`${input.name}\``);
}

/** The body of `handle_get_prompt`. */
export function getPrompt(): i32 {
  const reader = inputReader();
  const input = GetPromptInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  const writer = new JsonWriter();
  got(input).write(writer);
  return output(writer);
}

/** The values that an argument may become. */
export function promptCompletion(name: string, input: CompleteInput): Array<string> {
  for (let at = 0; at < prompts.length; at++) {
    const prompt = prompts[at];
    if (prompt.name == name && prompt.completions.has(input.argument)) {
      return prompt.completions.get(input.argument)(input);
    }
  }
  return [];
}
