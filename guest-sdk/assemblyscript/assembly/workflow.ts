/**
 * Workflows: functions whose runs outlive the host's process.
 *
 * A workflow is a function of the same effects as a tool. Each effect is a step: the host records its answer, and a
 * run that is resumed, after a wait of weeks or a crash, is called from its beginning and given the recorded answers.
 * So its code has to request the same effects in the same order each time: time, randomness and everything else that
 * may differ come from effects, not from `Date` and `Math.random`.
 *
 * There are no exceptions: what may fail returns a `Result`, and a failure that the workflow cannot mend ends it by
 * `failedBy(result.error)`. That is also how a run ends that is cancelled: a call that waits fails with `cancelled`.
 */

import { Result } from "./effect";
import {
  Context,
  Done,
  EffectError,
  ErrorCode,
  ListWorkflowsResult,
  nameOfErrorCode,
  RetryPolicy,
  WorkflowArrival,
  WorkflowCancel,
  WorkflowChild,
  WorkflowDefinition,
  WorkflowEnd,
  WorkflowFailure,
  WorkflowInput,
  WorkflowMessage,
  WorkflowMigrateInput,
  WorkflowMigrateResult,
  WorkflowOutcome,
  WorkflowPatched,
  WorkflowQueryInput,
  WorkflowQueryResult,
  WorkflowSetState,
  WorkflowSignal,
  WorkflowSleep,
  WorkflowStart,
  WorkflowStartChild,
  WorkflowWait,
} from "./generated/types";
import * as effects from "./generated/workflow";
import { Json, JsonWriter, some } from "./json";
import { fail, inputReader, output } from "./plugin";
import { Arguments, ObjectSchema } from "./schema";

/** A run, as its function sees it. */
export class Run {
  readonly compensations: Array<Compensation> = [];

  constructor(
    /** The workflow's id, chosen by whoever started it. */
    readonly workflowId: string,
    /** The run's id. */
    readonly runId: string,
    /** The call. Its id is the run's, however often that is resumed. */
    readonly context: Context,
    /** The state that the run before this one has published, if that was continued as new; null otherwise. */
    readonly previousState: Json,
  ) {}

  /**
   * Registers what undoes the steps up to here, with what it needs to know. When the run fails or is cancelled, what
   * was registered is called, the last first. It answers the error by which it has failed, or null.
   */
  addCompensation(undo: UndoFunction, input: Json): void {
    this.compensations.push(new Compensation(undo, input));
  }
}

/** What undoes steps. */
export type UndoFunction = (input: Json) => EffectError | null;

class Compensation {
  constructor(
    readonly undo: UndoFunction,
    readonly input: Json,
  ) {}
}

/** The function of a workflow, from its input to the end of the run. */
export type WorkflowFunction = (input: Arguments, run: Run) => WorkflowOutcome;

/** Answers a query from the published state and the arguments; it has no effects. */
export type QueryFunction = (state: Json, input: Json) => Json;

/** Brings a state of an older version to the current one; null if it cannot. */
export type MigrateFunction = (fromVersion: u32, state: Json) => Json | null;

/** A workflow of a plugin. */
export class Workflow {
  title: string | null = null;
  outputSchema: Json | null = null;
  stateSchema: Json | null = null;
  stateVersion: u32 = 1;
  migrate: MigrateFunction | null = null;
  isTool: bool = false;
  needsTask: bool = false;
  readonly signals: Array<WorkflowMessage> = [];
  readonly queries: Map<string, QueryFunction> = new Map();

  constructor(
    /** The name by which it is started. */
    readonly name: string,
    readonly description: string,
    readonly schema: ObjectSchema,
    readonly run: WorkflowFunction,
  ) {
    workflows.push(this);
  }

  /** Says what the output has. */
  withOutput(schema: ObjectSchema): this {
    this.outputSchema = schema.json();
    return this;
  }

  /** Says what the state has, and its version. */
  withState(schema: ObjectSchema, version: u32 = 1, migrate: MigrateFunction | null = null): this {
    this.stateSchema = schema.json();
    this.stateVersion = version;
    this.migrate = migrate;
    return this;
  }

  /** Says which signals it takes, with the JSON Schema of the payload; it takes any if it says none. */
  signal(name: string, schema: string = ""): this {
    const message = WorkflowMessage.of(name);
    if (schema.length > 0) message.schema = new Json(schema);
    this.signals.push(message);
    return this;
  }

  /** Answers a query. */
  query(name: string, answer: QueryFunction): this {
    this.queries.set(name, answer);
    return this;
  }

  listing(): WorkflowDefinition {
    const listing = WorkflowDefinition.of(this.name);
    listing.title = this.title;
    listing.description = this.description;
    listing.inputSchema = this.schema.json();
    listing.outputSchema = this.outputSchema;
    listing.stateSchema = this.stateSchema;
    listing.stateVersion = this.stateVersion;
    listing.signals = this.signals;
    const names = this.queries.keys();
    for (let at = 0; at < names.length; at++) listing.queries.push(WorkflowMessage.of(names[at]));
    listing.isTool = this.isTool;
    listing.needsTask = this.needsTask;
    return listing;
  }
}

const workflows: Array<Workflow> = [];

/** The end of a run with an output. */
export function completed(output: Json): WorkflowOutcome {
  const outcome = WorkflowOutcome.of(WorkflowEnd.Completed);
  outcome.output = output;
  return outcome;
}

/** The end of a run that has failed, with a code for programs and a message for people. */
export function failedWith(code: string, message: string, details: Json | null = null): WorkflowOutcome {
  const outcome = WorkflowOutcome.of(WorkflowEnd.Failed);
  const failure = WorkflowFailure.of(code, message);
  failure.details = details;
  outcome.failure = failure;
  return outcome;
}

/** The end of a run by the error of an effect. `cancelled` is the run's own cancellation. */
export function failedBy(error: EffectError | null): WorkflowOutcome {
  if (error === null) return failedWith("failed", "an effect failed");
  if (error.code === ErrorCode.Cancelled) return WorkflowOutcome.of(WorkflowEnd.Cancelled);
  return failedWith(nameOfErrorCode(error.code), error.message, error.details);
}

/** The end of a run that goes on as a new one: an empty history, the state published last, this input. */
export function continueAsNew(input: Json): WorkflowOutcome {
  const outcome = WorkflowOutcome.of(WorkflowEnd.ContinueAsNew);
  outcome.input = input;
  return outcome;
}

/** Waits, for ten years at most. The run holds no memory, thread or sandbox meanwhile. */
export function sleep(millis: u64): Result<Done> {
  return effects.sleep(WorkflowSleep.of(millis));
}

/** Publishes the state: what queries see, and the next run if this one is continued as new. */
export function setState(state: Json): Result<Done> {
  return effects.setState(WorkflowSetState.of(state));
}

/** The first arrival of a wait, or nothing when the time is up. */
function first(wait: WorkflowWait): Result<WorkflowArrival> {
  const come = effects.wait(wait);
  if (!come.ok) return new Result<WorkflowArrival>(null, come.error);
  const arrivals = come.value.arrivals;
  if (arrivals.length > 0) return new Result<WorkflowArrival>(arrivals[0], null);
  return new Result<WorkflowArrival>(null, EffectError.of(ErrorCode.Timeout, "the time is up"));
}

/** Waits for a signal, and returns its payload. Signals that came before were kept; the oldest is taken. */
export function waitSignal(name: string): Result<Json> {
  const wait = new WorkflowWait();
  wait.signals.push(name);
  return payloadOf(first(wait));
}

/** Waits for a signal, but not longer than this; the error is `timeout` when the time is up. */
export function waitSignalFor(millis: u64, name: string): Result<Json> {
  const wait = new WorkflowWait();
  wait.signals.push(name);
  wait.timeoutMillis = some<u64>(millis);
  return payloadOf(first(wait));
}

function payloadOf(arrival: Result<WorkflowArrival>): Result<Json> {
  return arrival.ok ? new Result<Json>(arrival.value.value, null) : new Result<Json>(null, arrival.error);
}

/**
 * Starts an effect by its capability, such as `docker.exec`, to run beside the workflow; `workflow.sleep` starts a
 * timer. Returns its handle. The role has to be granted it: what a plugin starts by name is not among its imports.
 */
export function start(capability: string, request: Json, retry: RetryPolicy | null = null, timeoutMillis: u64 = 0): Result<Handle> {
  const start = WorkflowStart.of(capability);
  start.request = request;
  start.retry = retry;
  if (timeoutMillis > 0) start.timeoutMillis = some<u64>(timeoutMillis);
  const started = effects.start(start);
  return started.ok ? new Result<Handle>(new Handle(started.value.handle), null) : new Result<Handle>(null, started.error);
}

/** A step, a timer or a child run that was started. */
export class Handle {
  constructor(
    /** Its number within the run. */
    readonly id: u64,
  ) {}

  /** Waits for the answer: `{"kind":"Success","payload":…}` or `{"kind":"Error","payload":{"code":…}}`. */
  wait(): Result<Json> {
    const wait = new WorkflowWait();
    wait.handles.push(this.id);
    wait.all = true;
    return payloadOf(first(wait));
  }

  /** Stops it. Its answer is the error `cancelled`, unless it was done before. */
  cancel(): Result<Done> {
    return effects.cancel(WorkflowCancel.of(this.id));
  }
}

/** Starts a run of a workflow of the role: as a child of a run, or from a tool or a hook. */
export function startChild(workflow: string, input: Json, workflowId: string | null = null): Result<WorkflowChild> {
  const child = WorkflowStartChild.of(workflow);
  child.input = input;
  child.workflowId = workflowId;
  return effects.startChild(child);
}

/** Sends a signal to the open run of a workflow of the role; from tools and hooks, too. */
export function signal(workflowId: string, name: string, payload: Json): Result<Done> {
  const signal = WorkflowSignal.of(workflowId, name);
  signal.payload = payload;
  return effects.signal(signal);
}

/** True if a change of the workflow's code applies to this run. */
export function patched(id: string): bool {
  const patch = effects.patched(WorkflowPatched.of(id));
  return patch.ok && patch.value.applies;
}

/** The body of `handle_list_workflows`. */
export function listWorkflows(): i32 {
  const result = new ListWorkflowsResult();
  for (let at = 0; at < workflows.length; at++) result.workflows.push(workflows[at].listing());
  const writer = new JsonWriter();
  result.write(writer);
  return output(writer);
}

function find(name: string): Workflow | null {
  for (let at = 0; at < workflows.length; at++) {
    if (workflows[at].name == name) return workflows[at];
  }
  return null;
}

function noSuchWorkflow(name: string): i32 {
  let known = "";
  for (let at = 0; at < workflows.length; at++) known += (at > 0 ? ", " : "") + workflows[at].name;
  return fail(`no workflow \`${name}\`; there are ${known}`);
}

/** The body of `handle_workflow`. */
export function runWorkflow(): i32 {
  const reader = inputReader();
  const input = WorkflowInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  const workflow = find(input.workflow);
  if (workflow === null) return noSuchWorkflow(input.workflow);
  const writer = new JsonWriter();
  const given = input.input.isNull ? new Json("{}").reader() : input.input.reader();
  const read = workflow.schema.read(given);
  if (!given.finish()) {
    failedWith("invalid_input", `the input does not fit: ${given.problem}`).write(writer);
    return output(writer);
  }
  const run = new Run(input.workflowId, input.runId, input.context, input.state);
  compensated(workflow.run(read, run), run).write(writer);
  return output(writer);
}

/** Undoes what has a compensation, and returns how the run ends. */
function compensated(outcome: WorkflowOutcome, run: Run): WorkflowOutcome {
  if (outcome.end !== WorkflowEnd.Failed && outcome.end !== WorkflowEnd.Cancelled) return outcome;
  let failures = "";
  for (let at = run.compensations.length - 1; at >= 0; at--) {
    const compensation = run.compensations[at];
    let error = compensation.undo(compensation.input);
    // A run is told once that it is cancelled: the second call is undisturbed.
    if (error !== null && error.code === ErrorCode.Cancelled) error = compensation.undo(compensation.input);
    if (error !== null) failures += (failures.length > 0 ? "; " : "") + error.message;
  }
  if (failures.length === 0) return outcome;
  const failure = outcome.failure;
  const cause = failure === null ? "the run was cancelled" : failure.message;
  return failedWith("compensation_failed", `${cause}; and this could not be undone: ${failures}`);
}

/** The body of `handle_query`. */
export function queryWorkflow(): i32 {
  const reader = inputReader();
  const input = WorkflowQueryInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  const workflow = find(input.workflow);
  if (workflow === null) return noSuchWorkflow(input.workflow);
  if (!workflow.queries.has(input.query)) {
    return fail(`the workflow \`${workflow.name}\` has no query \`${input.query}\``);
  }
  if (input.state.isNull) return fail("the run has not published a state yet");
  const result = new WorkflowQueryResult();
  result.value = workflow.queries.get(input.query)(input.state, input.arguments);
  const writer = new JsonWriter();
  result.write(writer);
  return output(writer);
}

/** The body of `handle_migrate`. */
export function migrateWorkflow(): i32 {
  const reader = inputReader();
  const input = WorkflowMigrateInput.read(reader);
  if (!reader.finish()) return fail(reader.problem);
  const workflow = find(input.workflow);
  if (workflow === null) return noSuchWorkflow(input.workflow);
  const migrate = workflow.migrate;
  let state: Json | null = null;
  if (migrate !== null && input.toVersion === workflow.stateVersion) state = migrate(input.fromVersion, input.state);
  if (state === null) {
    return fail(
      `the workflow \`${workflow.name}\` cannot bring its state from version ${input.fromVersion} to ` +
        `${input.toVersion}; its version is ${workflow.stateVersion}`,
    );
  }
  const writer = new JsonWriter();
  WorkflowMigrateResult.of(state).write(writer);
  return output(writer);
}
