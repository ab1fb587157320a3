/** Workflows as their authors define them, and the calls that the host makes to them. */

import { EffectError, ToolError } from "./error.js";
import type {
  Context,
  Icon,
  WorkflowDefinition as WorkflowListing,
  WorkflowFailure,
  WorkflowInput,
  WorkflowMessage,
  WorkflowMigrateInput,
  WorkflowMigrateResult,
  WorkflowOutcome,
  WorkflowQueryInput,
  WorkflowQueryResult,
} from "./generated/types.js";
import { type Schema } from "./schema.js";

/** A failure of a workflow, with a code for programs and a message for people. */
export class WorkflowError extends Error {
  override name = "WorkflowError";

  constructor(
    readonly code: string,
    message: string,
    readonly details?: unknown,
  ) {
    super(message);
  }
}

/** Thrown, it ends this run and starts it as a new one: an empty history, the state published last, this input. */
export class ContinueAsNew extends Error {
  override name = "ContinueAsNew";

  constructor(readonly input: unknown) {
    super("the run goes on as a new one");
  }
}

/** A run, as its function sees it. What it does are the functions of `exomonad-guest/workflow`, and every effect. */
export interface Run<State = unknown> {
  /** The workflow's id, chosen by whoever started it. */
  readonly workflowId: string;
  /** The run's id. */
  readonly runId: string;
  /** The call. Its id is the run's, however often that is resumed. */
  readonly context: Context;
  /** The state that the run before this one has published, if that was continued as new. */
  readonly previousState: State | undefined;
  /**
   * Registers what undoes the steps up to here. When the function throws, also when the run is cancelled, what was
   * registered is called, the last first. Effects work in it. It is called a second time if the run is cancelled
   * while it is at it, so it should be repeatable. A run that continues as new undoes nothing.
   */
  addCompensation(compensation: () => void | Promise<void>): void;
}

/** A query: a function of the published state, which has no effects. */
export interface Query<State = never, Arguments = never> {
  /** Its purpose. */
  description?: string;
  /** Its arguments; none for any. */
  arguments?: Schema<Arguments>;
  answer(state: State, input: Arguments): unknown;
}

/** The state that a workflow publishes. */
export interface StateDefinition<State> {
  schema?: Schema<State>;
  /** Its version, 1 if nothing is said. */
  version?: number;
  /** Brings a state of an older version to this one. */
  migrate?(fromVersion: number, state: unknown): State;
}

/** A workflow as its author describes it. */
export interface WorkflowDefinition<Input, Output, State> {
  /** The name by which it is started. */
  name: string;
  /** A display name for people. */
  title?: string;
  /** Its description. */
  description: string;
  input?: Schema<Input>;
  output?: Schema<Output>;
  state?: StateDefinition<State>;
  /** The signals that it takes, with their payloads; any, if none is declared. */
  signals?: Record<string, Schema<unknown>>;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  queries?: Record<string, Query<State, any> | ((state: State) => unknown)>;
  /** True if MCP clients may start it as a tool. */
  isTool?: boolean;
  /** True if that tool is for clients that have tasks. */
  needsTask?: boolean;
  /** Pictures of it, the best first. */
  icons?: Icon[];
  run(input: Input, run: Run<State>): Output | Promise<Output>;
}

/** A workflow of a plugin. */
export interface Workflow<Input = never, Output = unknown, State = never>
  extends WorkflowDefinition<Input, Output, State> {}

/** Defines a workflow. */
export function defineWorkflow<Input = undefined, Output = unknown, State = unknown>(
  definition: WorkflowDefinition<Input, Output, State>,
): Workflow<Input, Output, State> {
  return definition;
}

/** A workflow of any types. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type AnyWorkflow = Workflow<any, any, any>;

/** A workflow as the host lists it. */
export function workflowListing(workflow: AnyWorkflow): WorkflowListing {
  const messages = (of: Record<string, unknown>, schemaOf: (message: never) => Schema<unknown> | undefined) =>
    Object.entries(of).map(
      ([name, message]): WorkflowMessage => ({
        name,
        description: (message as { description?: string }).description,
        schema: schemaOf(message as never)?.json,
      }),
    );
  const { name, title, description, input, output, state, icons } = workflow;
  return {
    name,
    title,
    description,
    inputSchema: input?.json,
    outputSchema: output?.json,
    stateSchema: state?.schema?.json,
    stateVersion: state?.version ?? 1,
    signals: messages(workflow.signals ?? {}, (schema: Schema<unknown>) => schema),
    queries: messages(workflow.queries ?? {}, (query: Query | (() => unknown)) =>
      typeof query === "function" ? undefined : query.arguments,
    ),
    icons,
    isTool: workflow.isTool ?? false,
    needsTask: workflow.needsTask ?? false,
  };
}

function find(workflows: readonly AnyWorkflow[], name: string): AnyWorkflow {
  const workflow = workflows.find((one) => one.name === name);
  if (workflow) return workflow;
  throw new ToolError(`no workflow \`${name}\`; there are ${workflows.map((one) => one.name).join(", ")}`);
}

/** Runs a workflow from its beginning to the end of the run. A failure is an outcome. */
export async function runWorkflow(workflows: readonly AnyWorkflow[], input: WorkflowInput): Promise<WorkflowOutcome> {
  const workflow = find(workflows, input.workflow);
  const compensations: (() => void | Promise<void>)[] = [];
  const run: Run<never> = {
    workflowId: input.workflowId,
    runId: input.runId,
    context: input.context,
    previousState: (input.state ?? undefined) as never,
    addCompensation: (compensation) => void compensations.push(compensation),
  };
  // A workflow whose fields are all optional is started with nothing.
  const argument = input.input ?? (workflow.input ? {} : undefined);
  try {
    return { end: "completed", output: (await workflow.run(argument, run)) ?? null };
  } catch (error) {
    return error instanceof ContinueAsNew
      ? { end: "continue_as_new", input: error.input ?? null }
      : compensated(error, compensations);
  }
}

/** How a run ends that has failed, or was cancelled. Mistakes of the plugin are thrown again. */
function outcomeOf(error: unknown): WorkflowOutcome {
  if (isCancellation(error)) return { end: "cancelled" };
  return { end: "failed", failure: workflowFailure(error) };
}

function isCancellation(error: unknown): boolean {
  return error instanceof ToolError && error.code === "cancelled";
}

function workflowFailure(error: unknown): WorkflowFailure {
  if (error instanceof WorkflowError || error instanceof EffectError) {
    return { code: error.code, message: error.message, details: error.details };
  }
  if (error instanceof ToolError) return { code: error.code ?? "failed", message: error.message };
  throw error;
}

async function compensated(error: unknown, compensations: (() => void | Promise<void>)[]): Promise<WorkflowOutcome> {
  const outcome = outcomeOf(error);
  const failures: WorkflowFailure[] = [];
  for (let next = compensations.pop(); next; next = compensations.pop()) {
    try {
      try {
        await next();
      } catch (failure) {
        // A run is told once that it is cancelled: the second call is undisturbed.
        if (!isCancellation(failure)) throw failure;
        await next();
      }
    } catch (failure) {
      failures.push(isCancellation(failure) ? { code: "cancelled", message: String(failure) } : workflowFailure(failure));
    }
  }
  if (!failures.length) return outcome;
  const cause = outcome.failure ?? { code: "cancelled", message: (error as Error).message };
  return {
    end: "failed",
    failure: {
      code: "compensation_failed",
      message: `${cause.message}; and this could not be undone: ${failures.map((one) => one.message).join("; ")}`,
      details: {
        cause: { code: cause.code, message: cause.message },
        failures: failures.map(({ code, message }) => ({ code, message })),
      },
    },
  };
}

/** Answers a query from the state that a run has published. */
export function queryWorkflow(workflows: readonly AnyWorkflow[], input: WorkflowQueryInput): WorkflowQueryResult {
  const workflow = find(workflows, input.workflow);
  const queries = workflow.queries ?? {};
  const query = Object.hasOwn(queries, input.query) ? queries[input.query] : undefined;
  if (!query) {
    const known = Object.keys(queries).join(", ");
    throw new ToolError(`the workflow \`${workflow.name}\` has no query \`${input.query}\`; there are ${known}`);
  }
  if ((input.state ?? null) === null) throw new ToolError("the run has not published a state yet");
  const answer = typeof query === "function" ? query : query.answer.bind(query);
  return { value: answer(input.state, input.arguments as never) ?? null };
}

/** Brings a published state to the workflow's current version. */
export function migrateWorkflow(
  workflows: readonly AnyWorkflow[],
  input: WorkflowMigrateInput,
): WorkflowMigrateResult {
  const workflow = find(workflows, input.workflow);
  const { migrate, version = 1 } = workflow.state ?? {};
  if (!migrate || input.toVersion !== version) {
    throw new ToolError(
      `the workflow \`${workflow.name}\` cannot bring its state from version ${input.fromVersion} to ` +
        `${input.toVersion}; its version is ${version}`,
    );
  }
  return { state: migrate(input.fromVersion, input.state) };
}
