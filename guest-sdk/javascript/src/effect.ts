/**
 * Effects: requests to the host and their answers.
 *
 * @module
 */

import { type Codec, CodecError } from "./codec.js";
import { EffectError } from "./error.js";
import { EffectError as EffectFailure } from "./generated/types.js";
import { performByName } from "./host.js";
import { parse, stringify } from "./json.js";

/** What the SDK knows of an effect. */
export interface EffectFacts<Request, Answer> {
  /** The host function, such as `git_get_branch`. */
  readonly hostFunction: string;
  /** The capability that the role needs, such as `git.get_branch`. */
  readonly capability: string;
  readonly request: Codec<Request>;
  readonly answer: Codec<Answer>;
}

/** An effect: a function from its request to its answer, which throws an {@link EffectError} if it fails. */
export interface Effect<Request, Answer> extends EffectFacts<Request, Answer> {
  (request: Request): Answer;
}

/** An effect that nothing has to be said to. */
export interface EffectOfNothing<Request, Answer> extends EffectFacts<Request, Answer> {
  (request?: Request): Answer;
}

/**
 * An effect by the name of its host function after `exomonad:effect/`. `exomonad-build` looks for these names in
 * what the bundler has left, and makes an import of each.
 */
export function effect<Request, Answer>(
  name: string,
  capability: string,
  request: Codec<Request>,
  answer: Codec<Answer>,
): Effect<Request, Answer> & EffectOfNothing<Request, Answer> {
  const hostFunction = name.slice(name.indexOf("/") + 1);
  const perform = (value: Request = {} as Request): Answer => {
    let text: string;
    try {
      text = stringify(request.toJson(value));
    } catch (error) {
      if (!(error instanceof CodecError)) throw error;
      throw new EffectError("invalid_input", `the request of ${hostFunction} does not fit: ${error.message}`);
    }
    return readAnswer(answer, hostFunction, performByName(hostFunction, text));
  };
  return Object.assign(perform, { hostFunction, capability, request, answer });
}

/** The answer of an effect, from its JSON. */
export function readAnswer<Answer>(answer: Codec<Answer>, hostFunction: string, text: string): Answer {
  try {
    return answerOf(answer, parse(text));
  } catch (error) {
    if (error instanceof EffectError) throw error;
    throw new EffectError("internal", `the answer of ${hostFunction} is unreadable: ${(error as Error).message}`);
  }
}

/** The answer of an effect in its envelope, `{"kind":"Success","payload":…}`. */
export function answerOf<Answer>(answer: Codec<Answer>, envelope: unknown): Answer {
  const { kind, payload } = (envelope ?? {}) as { kind?: unknown; payload?: unknown };
  if (kind === "Success") return answer.fromJson(payload);
  if (kind !== "Error") throw new CodecError(`\`${String(kind)}\` is neither Success nor Error`).within("kind");
  const failure = EffectFailure.fromJson(payload);
  throw new EffectError(failure.code, failure.message, failure.details);
}
