/** Errors that a plugin tells to others: everything else that is thrown is a mistake in the plugin. */

import type { Codec } from "./codec.js";
import type { EffectError as EffectFailure, ErrorCode } from "./generated/types.js";

/** A failure of a tool that the caller may do something about: the model reads its message. */
export class ToolError extends Error {
  override name = "ToolError";
  /** The kind of failure, where there is one for it. */
  readonly code: ErrorCode | undefined;

  constructor(message: string, options?: { code?: ErrorCode; cause?: unknown }) {
    super(message, options);
    this.code = options?.code;
  }
}

/** A failed effect. Decide on the code; the message is for people. */
export class EffectError extends ToolError {
  override name = "EffectError";
  /** The kind of failure. */
  declare readonly code: ErrorCode;
  /** Details for a program; their shape depends on the code. */
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, details?: unknown) {
    super(message, { code });
    this.details = details;
  }

  /** The failure as the contract has it. */
  toFailure(): EffectFailure {
    return { code: this.code, message: this.message, details: this.details };
  }
}

/** A failure of the plugin in the place of a result. What is no failure but a mistake is thrown again. */
export function failureOf(error: unknown): EffectFailure {
  if (error instanceof EffectError) return error.toFailure();
  if (error instanceof ToolError) return { code: error.code ?? "internal", message: error.message };
  throw error;
}

/** Decodes a value that came from outside. */
export function decodeOutside<T>(codec: Codec<T>, value: unknown, of: string): T {
  try {
    return codec.fromJson(value);
  } catch (error) {
    throw new ToolError(`${of}: ${(error as Error).message}`, { code: "invalid_input", cause: error });
  }
}
