/**
 * The client that made the call: what most plugins say to it, and ask it.
 *
 * The functions of `exomonad-guest/mcp` do all that there is; these take what is usual. A guest that asks may be run
 * again when the answer is there, up to the question; effects are not performed again.
 *
 * @module
 */

import type { McpLogLevel, McpSamplingContent } from "./generated/types.js";
import * as mcp from "./generated/mcp.js";
import type { Schema } from "./schema.js";

/** Reports how far the call is. */
export function progress(done: number, total?: number, message?: string): void {
  mcp.progress({ progress: done, total, message });
}

/** Sends a line of the log to the client. */
export function log(level: McpLogLevel, line: unknown): void {
  mcp.log({ level, data: line });
}

/**
 * Asks the person to fill in a form, whose fields are those of the schema: texts, numbers, booleans, choices. Nothing
 * if they do not want to. A name for the question lets clients without sessions answer it.
 */
export function elicit<T>(message: string, form: Schema<T>, key?: string): T | undefined {
  const { action, content } = mcp.elicit({ message, form: form.json, key });
  return action === "accept" && content !== undefined ? (content as T) : undefined;
}

/** Asks the client's model, and returns the text of its answer. */
export function sample(prompt: string, maxTokens: number): string {
  const { content } = mcp.sample({
    messages: [{ role: "user", content: [{ kind: "Content", payload: { type: "text", text: prompt } }] }],
    maxTokens,
  });
  return textOf(content);
}

/** The texts of a sampled message. */
export function textOf(content: readonly McpSamplingContent[]): string {
  const texts = content.map((part) => (part.kind === "Content" && part.payload.type === "text" ? part.payload.text : ""));
  return texts.filter(Boolean).join("\n");
}
