/** Prompts. */

import { failureOf } from "./error.js";
import type {
  Content,
  Context,
  GetPromptResult,
  Icon,
  ListPromptsResult,
  PromptMessage,
} from "./generated/types.js";
import type { Complete } from "./resource.js";
import type { Schema } from "./schema.js";

/** What a prompt's function returns: a text or a content of the person, several messages, or a result built by hand. */
export type PromptOutput = string | Content | PromptMessage[] | GetPromptResult;

/** A prompt of a plugin. */
export interface Prompt<Arguments = never> {
  /** The name by which it is asked for. */
  name: string;
  /** A display name for people. */
  title?: string;
  /** Its purpose. */
  description: string;
  /** Its arguments: an object of texts. */
  arguments?: Schema<Arguments>;
  /** The functions that complete arguments. */
  complete?: { [K in keyof Arguments]?: Complete };
  /** Pictures of it, the best first. */
  icons?: Icon[];
  /** The function, from the arguments to the messages. */
  get(input: Arguments, context: Context): PromptOutput | Promise<PromptOutput>;
}

/** Defines a prompt. */
export function definePrompt<Arguments = Record<string, never>>(definition: Prompt<Arguments>): Prompt<never> {
  return definition as unknown as Prompt<never>;
}

/** The prompts of a plugin, in one page. */
export function listPrompts(prompts: readonly Prompt[]): ListPromptsResult {
  return {
    prompts: prompts.map(({ name, title, description, icons, arguments: schema }) => {
      const { properties = {}, required = [] } = ((schema as Schema<unknown> | undefined)?.json ?? {}) as {
        properties?: Record<string, { title?: string; description?: string }>;
        required?: string[];
      };
      return {
        name,
        title,
        description,
        icons,
        arguments: Object.entries(properties).map(([argument, of]) => ({
          name: argument,
          title: of.title,
          description: of.description,
          required: required.includes(argument),
        })),
      };
    }),
  };
}

/** The messages of a prompt. */
export async function getPrompt(
  prompts: readonly Prompt[],
  name: string,
  input: Record<string, string>,
  context: Context,
): Promise<GetPromptResult> {
  const prompt = prompts.find((one) => one.name === name);
  if (!prompt) return { error: { code: "not_found", message: `there is no prompt \`${name}\`` } };
  try {
    const required = ((prompt.arguments as Schema<unknown> | undefined)?.json["required"] ?? []) as string[];
    const missing = required.find((argument) => !Object.hasOwn(input, argument));
    if (missing !== undefined) {
      return { error: { code: "invalid_input", message: `the argument \`${missing}\` is missing` } };
    }
    return { description: prompt.description, ...messagesOf(await prompt.get(input as never, context)) };
  } catch (error) {
    return { error: failureOf(error) };
  }
}

function messagesOf(output: PromptOutput): GetPromptResult {
  if (Array.isArray(output)) return { messages: output };
  if (typeof output === "string") return messagesOf({ type: "text", text: output });
  return "type" in output ? { messages: [{ role: "user", content: output }] } : output;
}
