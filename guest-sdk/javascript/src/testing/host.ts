import { decode, encode } from "../codec.js";
import type { EffectFacts } from "../effect.js";
import { EffectError } from "../error.js";
import type {
  CallToolResult,
  Context,
  GetPromptResult,
  HookEvent,
  HookOutput,
  ReadResourceResult,
} from "../generated/types.js";
import * as types from "../generated/types.js";
import { installTestHost, type TestHost } from "../host.js";
import { parse, stringify } from "../json.js";
import type { Plugin } from "../plugin.js";
import { getPrompt } from "../prompt.js";
import { readResource } from "../resource.js";
import { callTool, type Tool } from "../tool.js";
import type { AnyWorkflow } from "../workflow-definition.js";
import { type FinishedRun, simulate, type Simulation, type WorkflowScript } from "./workflow.js";

/** The context of calls in tests: role `test`, call `test-call`. */
export const testContext: Context = { role: "test", callId: "test-call" };

/** A request that was performed, and when, in milliseconds since 1970. */
export interface Recorded {
  hostFunction: string;
  request: string;
  unixMillis: number;
}

/** 2026-01-01T00:00:00Z. */
const START = Date.UTC(2026, 0, 1);

const LEVELS = ["trace", "debug", "info", "warn", "error"];

/** A host for tests, with answers that the test defines. */
export class FakeHost implements TestHost {
  /** Keys and values; a test may read and set them. */
  readonly kv = new Map<string, unknown>();
  /** Log lines so far, as `info: text`. */
  readonly lines: string[] = [];
  /** The clock, in milliseconds since 1970. */
  unixMillis = START;

  private readonly answers = new Map<string, (request: string) => string>();
  private readonly recorded: Recorded[] = [];
  private readonly values = new Map<string, string>();
  private readonly variables = new Map<string, Uint8Array>();
  private random = 0;
  private simulation: Simulation | undefined;

  /** Answers an effect by a function, which may throw an {@link EffectError}. */
  on<Request, const Answer>(effect: EffectFacts<Request, Answer>, answer: (request: Request) => NoInfer<Answer>): this {
    this.answers.set(effect.hostFunction, (request) =>
      stringify({ kind: "Success", payload: effect.answer.toJson(answer(decode(effect.request, request))) }),
    );
    return this;
  }

  /** Sets a value of the role's configuration. */
  withConfig(key: string, value: string): this {
    this.values.set(key, value);
    return this;
  }

  /** Sets the clock, in milliseconds since 1970. */
  at(unixMillis: number): this {
    this.unixMillis = unixMillis;
    return this;
  }

  /** Every request for an effect so far, in order; within a workflow each attempt. */
  requests<Request>(effect: EffectFacts<Request, unknown>): Request[] {
    return this.timedRequests(effect).map((one) => one.request);
  }

  /** Every request for an effect so far, with the time on the host's clock. */
  timedRequests<Request>(effect: EffectFacts<Request, unknown>): { request: Request; unixMillis: number }[] {
    const found = this.recorded.filter((one) => one.hostFunction === effect.hostFunction);
    return found.map(({ request, unixMillis }) => ({ request: decode(effect.request, request), unixMillis }));
  }

  /** The host functions called so far, in order. */
  get functions(): string[] {
    return this.recorded.map((one) => one.hostFunction);
  }

  /** Calls a function with this host, which gets every effect in it, also after an `await`. */
  run<T>(body: () => Promise<T>): Promise<T>;
  run<T>(body: () => T): T;
  run<T>(body: () => T | Promise<T>): T | Promise<T> {
    const before = installTestHost(this);
    const restore = () => void installTestHost(before);
    try {
      const result = body();
      if (result instanceof Promise) return result.finally(restore);
      restore();
      return result;
    } catch (error) {
      restore();
      throw error;
    }
  }

  /** Calls a tool as the host does, through JSON. */
  async callTool(tool: Tool, input: unknown = {}): Promise<CallToolResult> {
    const result = await this.run(() => callTool([tool], tool.name, parse(stringify(input)), testContext));
    return decode(types.CallToolResult, encode(types.CallToolResult, result));
  }

  /** Reads a plugin's resource. */
  readResource(plugin: Plugin, uri: string): Promise<ReadResourceResult> {
    return this.run(() => readResource(plugin.resources, uri, testContext));
  }

  /** Gets the messages of a plugin's prompt. */
  getPrompt(plugin: Plugin, name: string, input: Record<string, string> = {}): Promise<GetPromptResult> {
    return this.run(() => getPrompt(plugin.prompts, name, input, testContext));
  }

  /** Calls a plugin's hook for an event; the last one if it has several. */
  async callHook(plugin: Plugin, event: HookEvent, payload: unknown): Promise<HookOutput> {
    const hook = plugin.hooks.findLast((one) => one.event === event);
    if (!hook) throw new TypeError(`the plugin has no hook for ${event}`);
    return this.run(async () => hook.run({ event, payload, context: testContext }));
  }

  /**
   * Runs a workflow in simulated time: the clock jumps to what is due next, so a month takes a millisecond. It is
   * called once more with the answers that it got; one that then asks for something else fails the test.
   */
  runWorkflow(workflow: AnyWorkflow, input: unknown = null, script: WorkflowScript = {}): Promise<FinishedRun> {
    return simulate(this, workflow, input, script, (simulation) => (this.simulation = simulation));
  }

  // What the SDK calls.

  /** @internal */
  perform(hostFunction: string, request: string): string {
    return this.simulation ? this.simulation.perform(hostFunction, request) : this.performNow(hostFunction, request);
  }

  /** Performs an effect without a simulation. @internal */
  performNow(hostFunction: string, request: string): string {
    this.recorded.push({ hostFunction, request, unixMillis: this.unixMillis });
    try {
      const answer = this.answers.get(hostFunction);
      if (answer) return answer(request);
      const payload = this.standard(hostFunction, parse(request) as Record<string, never>);
      return stringify({ kind: "Success", payload });
    } catch (error) {
      if (!(error instanceof EffectError)) throw error;
      return stringify({ kind: "Error", payload: error.toFailure() });
    }
  }

  /** @internal */
  config(key: string): string | undefined {
    return this.values.get(key);
  }

  /** @internal */
  getVariable(key: string): Uint8Array | undefined {
    return this.variables.get(key);
  }

  /** @internal */
  setVariable(key: string, value: Uint8Array | undefined): void {
    if (value) this.variables.set(key, value.slice());
    else this.variables.delete(key);
  }

  /** @internal */
  log(level: number, line: string): void {
    this.lines.push(`${LEVELS[level]}: ${line}`);
  }

  /** The host's own answer to an effect. */
  private standard(hostFunction: string, request: Record<string, unknown>): unknown {
    switch (hostFunction) {
      case "log":
        this.lines.push(`${String(request["level"])}: ${String(request["message"])}`);
        return {};
      case "emit_event":
      case "mcp_progress":
      case "mcp_log":
      case "mcp_notify":
        return {};
      case "mcp_get_client":
        return { connected: false };
      case "kv_get": {
        const key = String(request["key"]);
        return { found: this.kv.has(key), value: this.kv.get(key) ?? null };
      }
      case "kv_set":
        this.kv.set(String(request["key"]), request["value"] ?? null);
        return {};
      case "kv_delete":
        return { existed: this.kv.delete(String(request["key"])) };
      case "kv_list":
        return this.listKeys(request as { prefix?: string; after?: string; limit?: number });
      case "clock_now":
        return {
          unixMillis: this.unixMillis,
          iso8601: new Date(this.unixMillis).toISOString(),
          monotonicNanos: BigInt(this.unixMillis) * 1_000_000n,
        };
      case "sleep":
        this.unixMillis += Number(request["millis"]);
        return {};
      case "random_bytes": {
        const bytes = Uint8Array.from({ length: Number(request["length"]) }, () => this.randomByte());
        return { bytes: Buffer.from(bytes).toString("base64") };
      }
    }
    if (hostFunction.startsWith("workflow_")) {
      throw new EffectError("unsupported", `${hostFunction} is for workflows; FakeHost.runWorkflow runs one`);
    }
    throw new EffectError(
      "not_configured",
      `the fake host has no answer for ${hostFunction}; give it one with FakeHost.on`,
    );
  }

  private listKeys({ prefix = "", after, limit = 100 }: { prefix?: string; after?: string; limit?: number }): unknown {
    const keys = [...this.kv.keys()].sort().filter((key) => key.startsWith(prefix) && !(after && key <= after));
    const page = keys.slice(0, limit);
    return { keys: page, next: keys.length > page.length ? page.at(-1) : null };
  }

  /** The same bytes in every run (a linear congruence). */
  private randomByte(): number {
    this.random = (Math.imul(this.random, 1_664_525) + 1_013_904_223) >>> 0;
    return this.random >>> 24;
  }
}
