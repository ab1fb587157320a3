/**
 * Workflows: functions whose runs outlive the host's process.
 *
 * A workflow is a function of the same effects as a tool. Each effect is a step: the host records its answer, and a
 * run that is resumed, after a wait of weeks or a crash, is called from its beginning and given the recorded answers.
 * So its code has to request the same effects in the same order each time: time, randomness and everything else that
 * may differ come from effects (`clock.now`, `random.bytes`), not from `Date` and `Math.random`.
 *
 * ```ts
 * import { defineWorkflow, t } from "exomonad-guest";
 * import * as workflow from "exomonad-guest/workflow";
 *
 * export const remind = defineWorkflow({
 *   name: "remind",
 *   description: "Logs a text, days later.",
 *   input: t.object({ text: t.string(), days: t.integer() }),
 *   run({ text, days }) {
 *     workflow.sleep(days * 86_400_000);
 *     console.log(text);
 *   },
 * });
 * ```
 *
 * @module
 */

import { type Codec, json } from "./codec.js";
import { answerOf, type EffectFacts } from "./effect.js";
import { EffectError } from "./error.js";
import * as effects from "./generated/workflow.js";
import type {
  OnParentEnd,
  RetryPolicy,
  WorkflowArrival,
  WorkflowRun,
  WorkflowRunInfo,
} from "./generated/types.js";
import type { Workflow } from "./workflow-definition.js";
import { WorkflowError } from "./workflow-definition.js";

export {
  ContinueAsNew,
  defineWorkflow,
  type Query,
  type Run,
  type StateDefinition,
  type Workflow,
  type WorkflowDefinition,
  WorkflowError,
} from "./workflow-definition.js";

/** Waits, for ten years at most. The run holds no memory, thread or sandbox meanwhile. */
export function sleep(millis: number): void {
  effects.sleep({ millis: whole(millis) });
}

function whole(millis: number): number {
  return Math.max(0, Math.ceil(millis));
}

/** Publishes the state: what queries see, and the next run if this one is continued as new. */
export function setState(state: unknown): void {
  effects.setState({ state });
}

/**
 * True if a change of the workflow's code applies to this run: false for one that has come past this place with the
 * code before the change.
 */
export function patched(id: string): boolean {
  return effects.patched({ id }).applies;
}

/** The run's number of steps, its beginning, and the host's advice to continue as new. */
export function info(): WorkflowRunInfo {
  return effects.info();
}

/** Waits for a signal, and returns its payload. Signals that came before were kept; the oldest is taken. */
export function waitSignal<T = unknown>(name: string): T {
  const [arrival] = effects.wait({ signals: [name] }).arrivals;
  if (arrival?.signal !== name) throw unexpected();
  return arrival.value as T;
}

/** Waits for a signal, but not longer than this; nothing when the time is up. */
export function waitSignalFor<T = unknown>(millis: number, name: string): { payload: T } | undefined {
  const [arrival] = effects.wait({ signals: [name], timeoutMillis: whole(millis) }).arrivals;
  return arrival && { payload: arrival.value as T };
}

function unexpected(): WorkflowError {
  return new WorkflowError("internal", "the host ended a wait by what was not waited for");
}

/** The failure of one step. Unlike an effect's own error, `cancelled` is no cancellation of the run. */
function ofStep(error: unknown): unknown {
  return error instanceof EffectError ? new WorkflowError(error.code, error.message, error.details) : error;
}

/** A step, a timer or a child run that was started, and will answer with a `T`. */
export class Handle<T> {
  constructor(
    /** Its number within the run. */
    readonly id: number | bigint,
    private readonly answer: Codec<T>,
  ) {}

  /** Waits for the answer, which it throws if the step has failed. */
  wait(): T {
    const [outcome] = join([this]);
    if (!outcome) throw unexpected();
    if ("error" in outcome) throw ofStep(outcome.error);
    return outcome.answer;
  }

  /** Waits for the answer. A failure is an answer too, to be told apart from the run's own cancellation. */
  outcome(): Outcome<T> {
    const [outcome] = join([this]);
    if (!outcome) throw unexpected();
    return outcome;
  }

  /** Stops it. Its answer is the error `cancelled`, unless it was done before. */
  cancel(): void {
    effects.cancel({ handle: this.id });
  }

  /** The outcome in what the host tells of it. */
  of(arrival: WorkflowArrival): Outcome<T> {
    try {
      return { answer: answerOf(this.answer, arrival.value) };
    } catch (error) {
      if (error instanceof EffectError) return { error };
      return { error: new EffectError("internal", `a step's answer is unreadable: ${(error as Error).message}`) };
    }
  }
}

/** The answer of a step, or the error by which it has failed. */
export type Outcome<T> = { answer: T } | { error: EffectError };

/** Waits for all of them, and returns the outcome of each in their order. */
export function join<T>(handles: readonly Handle<T>[]): Outcome<T>[] {
  if (!handles.length) return [];
  const { arrivals } = effects.wait({ handles: handles.map((one) => one.id), all: true });
  return handles.map((handle) => {
    const arrival = arrivals.find((one) => one.handle === handle.id);
    if (!arrival) throw unexpected();
    return handle.of(arrival);
  });
}

/** Waits for the first of them, and returns its position and its answer. The others are stopped. */
export function race<T>(handles: readonly Handle<T>[]): { position: number; answer: T } {
  const first = select({ handles });
  const winner = first.kind === "handle" ? handles[first.position] : undefined;
  if (first.kind !== "handle" || !winner) throw new WorkflowError("internal", "a race needs somebody who runs");
  for (const loser of handles) if (loser !== winner) loser.cancel();
  return { position: first.position, answer: winner.wait() };
}

/** What came first. */
export type First =
  | { kind: "handle"; position: number }
  | { kind: "signal"; name: string; payload: unknown }
  | { kind: "timeout" };

/**
 * Waits for whatever comes first: a handle, whose answer `wait` then has at once, a signal, which is taken, or the
 * end of the time.
 */
export function select(of: { handles?: readonly Handle<never>[]; signals?: string[]; timeout?: number }): First;
export function select(of: { handles?: readonly Handle<unknown>[]; signals?: string[]; timeout?: number }): First;
export function select(of: {
  handles?: readonly { id: number | bigint }[];
  signals?: string[];
  timeout?: number;
}): First {
  const { handles = [], signals = [], timeout } = of;
  const [first] = effects.wait({
    handles: handles.map((one) => one.id),
    signals,
    timeoutMillis: timeout === undefined ? undefined : whole(timeout),
  }).arrivals;
  if (!first) return { kind: "timeout" };
  if (first.signal !== undefined) return { kind: "signal", name: first.signal, payload: first.value };
  const position = handles.findIndex((one) => one.id === first.handle);
  if (position < 0) throw unexpected();
  return { kind: "handle", position };
}

/** Options of a step. */
export interface StepOptions {
  /** When it is tried again; a write whose outcome is unknown is not tried again by itself. */
  retry?: RetryPolicy;
  /** The time for all attempts together, in milliseconds; the step then fails with `timeout`. */
  timeout?: number;
}

/** Starts an effect, to run beside the workflow: `start(git.fetch, {})`. */
export function start<Request, Answer>(
  effect: EffectFacts<Request, Answer>,
  request: Request,
  options: StepOptions = {},
): Handle<Answer> {
  const { handle } = effects.start({
    effect: effect.capability,
    request: effect.request.toJson(request),
    retry: options.retry,
    timeoutMillis: options.timeout === undefined ? undefined : whole(options.timeout),
  });
  return new Handle(handle, effect.answer);
}

/** Performs an effect with retries or a time limit. Without those a plain call of the effect is a step too. */
export function step<Request, Answer>(
  effect: EffectFacts<Request, Answer>,
  request: Request,
  options: StepOptions,
): Answer {
  return start(effect, request, options).wait();
}

/** Performs an effect for each of several requests at the same time, and returns the outcome of each. */
export function parallel<Request, Answer>(
  effect: EffectFacts<Request, Answer>,
  requests: readonly Request[],
  options: StepOptions = {},
): Outcome<Answer>[] {
  return join(requests.map((request) => start(effect, request, options)));
}

/** Starts a timer, to be waited for beside other things. */
export function timer(millis: number): Handle<unknown> {
  return new Handle(effects.start({ effect: "workflow.sleep", request: { millis: whole(millis) } }).handle, json);
}

/** Options of a child run. */
export interface ChildOptions {
  /** Its id. If a run with this id is open, that is what is waited for, and nothing is started. */
  workflowId?: string;
  /** Its fate when this run ends before; it is asked to cancel, if nothing is said. */
  onParentEnd?: OnParentEnd;
}

/** Starts a run of a workflow of the role as a child, by its definition or its name. */
export function startChild<Input, Output>(
  workflow: Workflow<Input, Output, never>,
  input: Input,
  options?: ChildOptions,
): Handle<Output>;
export function startChild(workflow: string, input?: unknown, options?: ChildOptions): Handle<unknown>;
export function startChild(
  workflow: { name: string } | string,
  input?: unknown,
  options: ChildOptions = {},
): Handle<unknown> {
  const name = typeof workflow === "string" ? workflow : workflow.name;
  const { handle } = effects.startChild({ workflow: name, input, ...options });
  if (handle === undefined) throw new WorkflowError("internal", "the host started a child without a handle");
  return new Handle(handle, json);
}

/** Starts a run of a workflow from a tool or a hook. Returns its ids. */
export function startRun(
  workflow: { name: string } | string,
  input?: unknown,
  options: ChildOptions = {},
): { workflowId: string; runId: string; started: boolean } {
  const name = typeof workflow === "string" ? workflow : workflow.name;
  return effects.startChild({ workflow: name, input, ...options });
}

/** Sends a signal to the open run of a workflow of the role; from tools and hooks, too. */
export function signal(workflowId: string, name: string, payload?: unknown): void {
  effects.signal({ workflowId, name, payload });
}

/** The newest run of a workflow of the role; from tools and hooks, too. */
export function get(workflowId: string): WorkflowRun {
  return effects.get({ workflowId });
}

/** A step that is tried so many times at most, the first one included. */
export function attempts(count: number, policy: Omit<RetryPolicy, "attempts"> = {}): RetryPolicy {
  return { attempts: count, ...policy };
}
