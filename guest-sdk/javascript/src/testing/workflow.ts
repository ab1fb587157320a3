/** The simulation of a workflow's run. */

import { decode } from "../codec.js";
import { EffectError } from "../error.js";
import * as types from "../generated/types.js";
import { parse, stringify } from "../json.js";
import { type AnyWorkflow, runWorkflow } from "../workflow-definition.js";
import type { FakeHost } from "./host.js";

/** What happens to a run from outside, by the milliseconds after its begin. */
export interface WorkflowScript {
  /** Signals that are sent. */
  signals?: { at: number; name: string; payload?: unknown }[];
  /** When it is asked to cancel. */
  cancelAt?: number;
  /** How long effects take that run beside the workflow, by their host function: `{ docker_exec: 600_000 }`. */
  takes?: Record<string, number>;
  /** The outputs of children, by the name of their workflow; one may throw an `EffectError`. */
  children?: Record<string, (input: unknown) => unknown>;
  /** Changes of the code that do not apply to the run; all others do. */
  withoutPatches?: string[];
  /** The number of steps from which the host suggests to continue as new. */
  suggestsContinueAsNewAfter?: number;
  /** The state that the run before has published. */
  previousState?: unknown;
}

/** A run that has ended. */
export interface FinishedRun {
  outcome: types.WorkflowOutcome;
  /** The output of a run that has completed. */
  output: unknown;
  /** The state that was published last. */
  state: unknown;
  /** The simulated time that it took, in milliseconds. */
  elapsed: number;
}

/** A run while it is simulated. */
export interface Simulation {
  perform(hostFunction: string, request: string): string;
}

interface Started {
  handle: number;
  dueAt: number;
  envelope: unknown;
  isCancelled?: boolean;
}

/** Runs a workflow, and then once more with the answers that it got. */
export async function simulate(
  host: FakeHost,
  workflow: AnyWorkflow,
  input: unknown,
  script: WorkflowScript,
  install: (simulation: Simulation | undefined) => void,
): Promise<FinishedRun> {
  const live = new LiveRun(host, script);
  const call = () =>
    host.run(() =>
      runWorkflow([workflow], {
        workflow: workflow.name,
        input: parse(stringify(input)),
        state: script.previousState ?? null,
        workflowId: "test-workflow",
        runId: "test-run",
        context: { role: "test", callId: "test-run" },
      }),
    );
  try {
    install(live);
    const outcome = await call();
    install(new Replay(live.history));
    const again = await call();
    if (stringify(again) !== stringify(outcome)) {
      throw new Error(`the workflow differs when it runs again: ${stringify(again)} after ${stringify(outcome)}`);
    }
    return { outcome, output: outcome.output, state: live.state, elapsed: host.unixMillis - live.begin };
  } finally {
    install(undefined);
  }
}

interface Step {
  hostFunction: string;
  request: string;
  answer: string;
}

class Replay implements Simulation {
  private at = 0;

  constructor(private readonly history: readonly Step[]) {}

  perform(hostFunction: string, request: string): string {
    const step = this.history[this.at++];
    if (step?.hostFunction === hostFunction && step.request === request) return step.answer;
    const before = step ? `${step.hostFunction} ${step.request}` : "the end of the run";
    throw new Error(`the workflow differs when it runs again: ${hostFunction} ${request} in the place of ${before}`);
  }
}

class LiveRun implements Simulation {
  readonly history: Step[] = [];
  readonly begin: number;
  state: unknown = null;
  private readonly started = new Map<number, Started>();
  private readonly signals: { at: number; name: string; payload: unknown }[];
  private cancelAt: number;
  private handles = 0;

  constructor(
    private readonly host: FakeHost,
    private readonly script: WorkflowScript,
  ) {
    this.begin = host.unixMillis;
    const signals = (script.signals ?? []).map((one) => ({ ...one, at: this.begin + one.at, payload: one.payload ?? null }));
    this.signals = signals.sort((one, other) => one.at - other.at);
    this.cancelAt = script.cancelAt === undefined ? Infinity : this.begin + script.cancelAt;
  }

  perform(hostFunction: string, request: string): string {
    const answer = this.answer(hostFunction, request);
    this.history.push({ hostFunction, request, answer });
    return answer;
  }

  private answer(hostFunction: string, request: string): string {
    try {
      const payload = this.own(hostFunction, request);
      return payload === undefined
        ? this.host.performNow(hostFunction, request)
        : stringify({ kind: "Success", payload });
    } catch (error) {
      if (!(error instanceof EffectError)) throw error;
      return stringify({ kind: "Error", payload: error.toFailure() });
    }
  }

  /** The answer to an effect of workflows. */
  private own(hostFunction: string, request: string): unknown {
    switch (hostFunction) {
      case "workflow_sleep":
        this.goTo(this.host.unixMillis + Number(decode(types.WorkflowSleep, request).millis));
        return {};
      case "workflow_set_state":
        ({ state: this.state } = decode(types.WorkflowSetState, request));
        return {};
      case "workflow_patched":
        return { applies: !this.script.withoutPatches?.includes(decode(types.WorkflowPatched, request).id) };
      case "workflow_info": {
        const steps = this.history.length;
        const suggestsContinueAsNew = steps >= (this.script.suggestsContinueAsNewAfter ?? 10_000);
        const ids = { workflow: "test", workflowId: "test-workflow", runId: "test-run" };
        return { ...ids, startedUnixMillis: this.begin, steps, suggestsContinueAsNew };
      }
      case "workflow_start":
        return { handle: this.start(decode(types.WorkflowStart, request)) };
      case "workflow_start_child":
        return this.startChild(decode(types.WorkflowStartChild, request));
      case "workflow_cancel": {
        const started = this.started.get(Number(decode(types.WorkflowCancel, request).handle));
        if (started && started.dueAt > this.host.unixMillis) {
          started.dueAt = this.host.unixMillis;
          started.envelope = failure(new EffectError("cancelled", "the step was stopped"));
        }
        return {};
      }
      case "workflow_wait":
        return this.wait(decode(types.WorkflowWait, request));
      case "workflow_signal":
        return {};
      default:
        return undefined;
    }
  }

  /** Moves the clock, or throws if the run is cancelled before. */
  private goTo(time: number): void {
    if (this.cancelAt <= time) {
      this.host.unixMillis = Math.max(this.host.unixMillis, this.cancelAt);
      this.cancelAt = Infinity;
      throw new EffectError("cancelled", "the run was asked to cancel");
    }
    this.host.unixMillis = Math.max(this.host.unixMillis, time);
  }

  private add(dueAt: number, envelope: unknown): number {
    this.handles += 1;
    this.started.set(this.handles, { handle: this.handles, dueAt, envelope });
    return this.handles;
  }

  private start(start: types.WorkflowStart): number {
    const now = this.host.unixMillis;
    const request = stringify(start.request ?? {});
    if (start.effect === "workflow.sleep") {
      return this.add(now + Number(decode(types.WorkflowSleep, request).millis), { kind: "Success", payload: {} });
    }
    const hostFunction = HOST_FUNCTIONS[start.effect] ?? start.effect.replace(".", "_");
    const takes = this.script.takes?.[hostFunction] ?? 0;
    const { attempts = start.retry ? 5 : 1, initialMillis = 1_000, backoffPercent = 200, maxMillis = 60_000 } = start.retry ?? {};
    let due = now;
    let wait = Number(initialMillis);
    for (let attempt = 1; ; attempt++) {
      this.host.unixMillis = due;
      const envelope = parse(this.host.performNow(hostFunction, request)) as { kind: string; payload: { code?: string } };
      due += takes;
      const isLast = envelope.kind === "Success" || attempt >= Number(attempts) || !isRetried(start.retry, envelope.payload.code);
      if (isLast || due - now > Number(start.timeoutMillis ?? Infinity)) {
        this.host.unixMillis = now;
        const isLate = due - now > Number(start.timeoutMillis ?? Infinity);
        const late = () => failure(new EffectError("timeout", "the step took too long"));
        return isLate ? this.add(now + Number(start.timeoutMillis), late()) : this.add(due, envelope);
      }
      due += wait;
      wait = Math.min((wait * Number(backoffPercent)) / 100, Number(maxMillis));
    }
  }

  private startChild(child: types.WorkflowStartChild): unknown {
    const run = this.script.children?.[child.workflow];
    if (!run) throw new EffectError("not_found", `the test has no child ${child.workflow}`);
    let envelope: unknown;
    try {
      envelope = { kind: "Success", payload: run(child.input) ?? null };
    } catch (error) {
      if (!(error instanceof EffectError)) throw error;
      envelope = failure(error);
    }
    const handle = this.add(this.host.unixMillis + (this.script.takes?.[child.workflow] ?? 0), envelope);
    return { handle, workflowId: child.workflowId ?? `child-${handle}`, runId: `child-run-${handle}`, started: true };
  }

  private wait(wait: types.WorkflowWait): unknown {
    const handles = (wait.handles ?? []).map((handle) => this.started.get(Number(handle)));
    if (handles.includes(undefined)) throw new EffectError("not_found", "there is no such handle");
    const awaited = handles as Started[];
    const deadline = wait.timeoutMillis === undefined ? Infinity : this.host.unixMillis + Number(wait.timeoutMillis);
    const signal = this.signals.find((one) => wait.signals?.includes(one.name));
    const dues = awaited.map((one) => one.dueAt);
    const done = !dues.length ? Infinity : wait.all ? Math.max(...dues) : Math.min(...dues);
    const signalAt = signal?.at ?? Infinity;
    const next = Math.min(done, signalAt, deadline);
    if (next === Infinity && this.cancelAt === Infinity) {
      throw new Error("the workflow waits for what the test never sends");
    }
    this.goTo(next);
    if (signal && signalAt <= next && (signalAt <= done || done > this.host.unixMillis)) {
      this.signals.splice(this.signals.indexOf(signal), 1);
      return { arrivals: [{ signal: signal.name, value: signal.payload }] };
    }
    const arrived = awaited.filter((one) => one.dueAt <= this.host.unixMillis);
    if (done > this.host.unixMillis) return { arrivals: [], timedOut: true };
    arrived.sort((one, other) => one.dueAt - other.dueAt);
    return { arrivals: arrived.map(({ handle, envelope }) => ({ handle, value: envelope })) };
  }
}

/** Capabilities whose host function has another name. */
const HOST_FUNCTIONS: Record<string, string> = {
  "log.write": "log",
  "log.emit_event": "emit_event",
  "clock.sleep": "sleep",
  "git.commit": "git_create_commit",
};

function isRetried(retry: types.RetryPolicy | undefined, code = "internal"): boolean {
  if (code === "outcome_unknown") return false;
  const refused = retry?.nonRetryable ?? [];
  if (refused.length) return !refused.includes(code);
  return ["unavailable", "rate_limited", "timeout", "internal"].includes(code);
}

function failure(error: EffectError): unknown {
  return { kind: "Error", payload: error.toFailure() };
}
