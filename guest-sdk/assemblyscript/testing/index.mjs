/**
 * A host for tests, which run in Node: AssemblyScript has no run of its own outside of WebAssembly, so the module
 * that was built is what is tested. Each call gets a fresh instance of it, as in the host.
 *
 * ```js
 * const host = new FakeHost(await readFile("hello.wasm")).on("git_get_branch", () => ({ head: "branch", branch: "main" }));
 * assert.deepEqual(host.callTool("greet", { name: "Ada" }).structuredContent, { text: "Hello Ada on main" });
 * ```
 *
 * By default it keeps keys and values in memory, has a clock that only `sleep` moves, keeps log lines, and takes
 * progress and lines for a client. Any other effect answers `not_configured` until a function is set for it.
 *
 * @module
 */

/** 2026-01-01T00:00:00Z. */
const START = Date.UTC(2026, 0, 1);

/** The failure of an effect, to be thrown by a function that answers one. */
export class EffectError extends Error {
  constructor(code, message, details) {
    super(message);
    this.code = code;
    this.details = details;
  }
}

/** The context of calls in tests: role `test`, call `test-call`. */
export const context = { role: "test", callId: "test-call" };

/** A host for tests, with answers that the test defines. */
export class FakeHost {
  /** @param {Uint8Array} bytes the module that was built */
  constructor(bytes) {
    this.module = new WebAssembly.Module(bytes);
    /** Keys and values; a test may read and set them. */
    this.kv = new Map();
    /** Log lines so far, as `info: text`. */
    this.lines = [];
    /** Requests so far, as `{ function, request, unixMillis }`. */
    this.recorded = [];
    /** The clock, in milliseconds since 1970. */
    this.unixMillis = START;
    this.answers = new Map();
    this.config = new Map();
    this.variables = new Map();
  }

  /** Answers an effect, such as `git_get_branch`, by a function of its request; it may throw an {@link EffectError}. */
  on(hostFunction, answer) {
    this.answers.set(hostFunction, answer);
    return this;
  }

  /** Sets a value of the role's configuration. */
  withConfig(key, value) {
    this.config.set(key, value);
    return this;
  }

  /** The requests for an effect so far, in order. */
  requests(hostFunction) {
    return this.recorded.filter((one) => one.function === hostFunction).map((one) => one.request);
  }

  /** Calls a tool as the host does. */
  callTool(name, input = {}) {
    return this.call("handle_mcp_call", { name, arguments: input, context });
  }

  /** Reads a resource. */
  readResource(uri) {
    return this.call("handle_read_resource", { uri, context });
  }

  /** Gets the messages of a prompt. */
  getPrompt(name, input = {}) {
    return this.call("handle_get_prompt", { name, arguments: input, context });
  }

  /** Calls the hook of an event. */
  callHook(event, payload) {
    return this.call(`handle_${event}`, { event, payload, context });
  }

  /** Calls an export in a fresh instance; a call that fails throws its message. */
  call(name, input, perform = (hostFunction, request) => this.performNow(hostFunction, request)) {
    return new Call(this, perform).run(name, typeof input === "string" ? input : JSON.stringify(input));
  }

  /**
   * Runs a workflow in simulated time: `signals` are `{ at, name, payload }` with the milliseconds after the begin,
   * `cancelAt` is when the run is asked to cancel. It is called once more with the answers that it got; one that then
   * asks for something else fails the test. Steps that run beside the workflow and children are not simulated: give
   * `workflow_start`, `workflow_start_child` and `workflow_wait` for handles an answer by `on`.
   */
  runWorkflow(workflow, input = null, { signals = [], cancelAt = Infinity, previousState = null } = {}) {
    const begin = this.unixMillis;
    const pending = signals.map((one) => ({ payload: null, ...one, at: begin + one.at })).sort((a, b) => a.at - b.at);
    let cancelTime = begin + cancelAt;
    let state = previousState;
    const history = [];
    const goTo = (time) => {
      if (cancelTime <= time) {
        this.unixMillis = Math.max(this.unixMillis, cancelTime);
        cancelTime = Infinity;
        throw new EffectError("cancelled", "the run was asked to cancel");
      }
      if (time === Infinity) throw new Error("the workflow waits for what the test never sends");
      this.unixMillis = Math.max(this.unixMillis, time);
    };
    const own = {
      workflow_sleep: ({ millis }) => (goTo(this.unixMillis + millis), {}),
      workflow_set_state: (request) => ((state = request.state), {}),
      workflow_patched: () => ({ applies: true }),
      workflow_wait: ({ signals: names = [], timeoutMillis = Infinity }) => {
        const next = pending.find((one) => names.includes(one.name));
        const deadline = this.unixMillis + timeoutMillis;
        goTo(Math.min(next?.at ?? Infinity, deadline));
        if (!next || next.at > this.unixMillis) return { arrivals: [], timedOut: true };
        pending.splice(pending.indexOf(next), 1);
        return { arrivals: [{ signal: next.name, value: next.payload }] };
      },
    };
    const perform = (hostFunction, request) => {
      const isOwn = hostFunction in own && !this.answers.has(hostFunction);
      const answer = isOwn ? envelope(() => own[hostFunction](request)) : this.performNow(hostFunction, request);
      history.push({ asked: `${hostFunction} ${JSON.stringify(request)}`, answer });
      return answer;
    };
    let at = 0;
    const replay = (hostFunction, request) => {
      const step = history[at++];
      const asked = `${hostFunction} ${JSON.stringify(request)}`;
      if (step?.asked === asked) return step.answer;
      throw new Error(`the workflow differs when it runs again: ${asked} in the place of ${step?.asked ?? "its end"}`);
    };
    const run = { workflow, input, state: previousState, workflowId: "test-workflow", runId: "test-run", context };
    const outcome = this.call("handle_workflow", run, perform);
    const again = this.call("handle_workflow", run, replay);
    if (JSON.stringify(again) !== JSON.stringify(outcome)) throw new Error("the workflow differs when it runs again");
    return { outcome, output: outcome.output, state, elapsed: this.unixMillis - begin };
  }

  /** Performs an effect. @internal */
  performNow(hostFunction, request) {
    this.recorded.push({ function: hostFunction, request, unixMillis: this.unixMillis });
    return envelope(() => (this.answers.get(hostFunction) ?? ((one) => this.standard(hostFunction, one)))(request));
  }

  /** The host's own answer to an effect. */
  standard(hostFunction, request) {
    switch (hostFunction) {
      case "log":
        this.lines.push(`${request.level}: ${request.message}`);
        return {};
      case "emit_event":
      case "mcp_progress":
      case "mcp_log":
      case "mcp_notify":
        return {};
      case "mcp_get_client":
        return { connected: false };
      case "kv_get":
        return { found: this.kv.has(request.key), value: this.kv.get(request.key) ?? null };
      case "kv_set":
        this.kv.set(request.key, request.value ?? null);
        return {};
      case "kv_delete":
        return { existed: this.kv.delete(request.key) };
      case "kv_list": {
        const { prefix = "", after, limit = 100 } = request;
        const keys = [...this.kv.keys()].sort().filter((key) => key.startsWith(prefix) && !(after && key <= after));
        return { keys: keys.slice(0, limit), next: keys.length > limit ? keys[limit - 1] : null };
      }
      case "clock_now":
        return {
          unixMillis: this.unixMillis,
          iso8601: new Date(this.unixMillis).toISOString(),
          // The clock of a test has no fraction of a second that a double would lose.
          monotonicNanos: (this.unixMillis - START) * 1e6,
        };
      case "sleep":
        this.unixMillis += request.millis;
        return {};
      case "random_bytes":
        return { bytes: Buffer.alloc(request.length, 7).toString("base64") };
      default:
        throw new EffectError(
          "not_configured",
          `the fake host has no answer for ${hostFunction}; give it one with FakeHost.on`,
        );
    }
  }
}

function envelope(answer) {
  try {
    return { kind: "Success", payload: answer() };
  } catch (error) {
    if (!(error instanceof EffectError)) throw error;
    const { code, message, details } = error;
    return { kind: "Error", payload: { code, message, details } };
  }
}

/** A call, with Extism's host functions. */
class Call {
  constructor(host, perform) {
    this.host = host;
    this.perform = perform;
    this.blocks = new Map();
    this.next = 8;
    this.instance = new WebAssembly.Instance(host.module, this.imports());
  }

  alloc(bytes) {
    const offset = this.next;
    this.next += bytes.length + 8;
    this.blocks.set(offset, Buffer.from(bytes));
    return BigInt(offset);
  }

  text(offset) {
    return this.blocks.get(Number(offset)).toString();
  }

  /** The block that an address is in, and the place in it. */
  find(address) {
    const at = Number(address);
    for (const [offset, block] of this.blocks) {
      if (at >= offset && at < offset + block.length) return [block, at - offset];
    }
    throw new Error(`nothing is at ${at}`);
  }

  imports() {
    const { host } = this;
    const log = (level) => (offset) => void host.lines.push(`${level}: ${this.text(offset)}`);
    const known = {
      alloc: (length) => this.alloc(Buffer.alloc(Number(length))),
      free: () => {},
      length: (offset) => BigInt(this.blocks.get(Number(offset))?.length ?? 0),
      load_u8: (address) => {
        const [block, at] = this.find(address);
        return block[at];
      },
      load_u64: (address) => {
        const [block, at] = this.find(address);
        return block.readBigUInt64LE(at);
      },
      store_u8: (address, value) => {
        const [block, at] = this.find(address);
        block[at] = value;
      },
      store_u64: (address, value) => {
        const [block, at] = this.find(address);
        block.writeBigUInt64LE(BigInt.asUintN(64, value), at);
      },
      input_offset: () => this.input,
      input_length: () => BigInt(this.blocks.get(Number(this.input)).length),
      output_set: (offset) => void (this.output = this.text(offset)),
      error_set: (offset) => void (this.error = this.text(offset)),
      config_get: (key) => {
        const value = host.config.get(this.text(key));
        return value === undefined ? 0n : this.alloc(Buffer.from(value));
      },
      var_get: (key) => {
        const value = host.variables.get(this.text(key));
        return value === undefined ? 0n : this.alloc(value);
      },
      var_set: (key, value) => void host.variables.set(this.text(key), this.blocks.get(Number(value))),
      log_trace: log("trace"),
      log_debug: log("debug"),
      log_info: log("info"),
      log_warn: log("warn"),
      log_error: log("error"),
      random_get: (pointer, length) => {
        crypto.getRandomValues(new Uint8Array(this.instance.exports.memory.buffer, pointer, length));
        return 0;
      },
    };
    const imports = {};
    for (const { module, name } of WebAssembly.Module.imports(host.module)) {
      const effect = (request) => {
        const answer = this.perform(name, JSON.parse(this.text(request)));
        return this.alloc(Buffer.from(typeof answer === "string" ? answer : JSON.stringify(answer)));
      };
      (imports[module] ??= {})[name] = module === "extism:host/user" ? effect : known[name];
    }
    return imports;
  }

  run(name, input) {
    this.instance.exports._initialize?.();
    this.input = this.alloc(Buffer.from(input));
    const body = this.instance.exports[name];
    if (!body) throw new Error(`the plugin has no export ${name}`);
    let code;
    try {
      code = body();
    } catch (trap) {
      // An abort has told the host why, and trapped.
      if (!(trap instanceof WebAssembly.RuntimeError) || this.error === undefined) throw trap;
      throw new Error(this.error, { cause: trap });
    }
    if (code !== 0) throw new Error(this.error ?? `the call failed with ${code}`);
    return JSON.parse(this.output);
  }
}
