import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import test, { after, before } from "node:test";
import { Extism, names } from "./extism.mjs";

const sdk = path.join(import.meta.dirname, "../..");
const folder = mkdtempSync(path.join(sdk, "tests/.built-plugin-"));
const context = { role: "r", callId: "c" };
after(() => rmSync(folder, { recursive: true }));

function built(source: string): Uint8Array {
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "plugin.ts"), source);
  const output = path.join(folder, "plugin.wasm");
  execFileSync(process.execPath, [path.join(sdk, "build/build.mjs"), path.join(folder, "plugin.ts"), "-o", output], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  return readFileSync(output);
}

let module: Uint8Array;
before(() => {
  module = built(`
    import { config, definePlugin, defineTool, t, ToolError } from "exomonad-guest";
    import * as git from "exomonad-guest/git";
    import * as kv from "exomonad-guest/kv";
    const tool = (name: string, run: (input: never) => unknown) =>
      defineTool({ name, description: "A tool.", input: t.any(), run: run as never });
    let calls = 0;
    export default definePlugin({
      name: "p",
      tools: [
        tool("branch", () => git.getBranch().branch),
        tool("key", ({ key }: { key: string }) => kv.get({ key }).value),
        tool("numbers", () => ({ numbers: [Math.random(), crypto.randomUUID()], calls: ++calls })),
        tool("same", (input) => ({ input })),
        tool("bytes", ({ text }: { text: string }) => {
          const bytes = new TextEncoder().encode(text);
          return { text: new TextDecoder().decode(bytes), length: bytes.length, wrong: new TextDecoder().decode(new Uint8Array([0x61, 0xff])) };
        }),
        tool("crash", function crashing() { throw new TypeError("a mistake"); }),
        tool("later", async () => { await null; throw new ToolError(config("greeting") + " later"); }),
        tool("hangs", () => new Promise(() => {})),
        tool("recurs", () => { const down = (n: number): number => down(n + 1) + 1; return down(0); }),
        tool("parses", ({ text }: { text: string }) => JSON.stringify(JSON.parse(text)).length),
        tool("logs", () => console.log("a line", { n: 1n }, new Error("no").message)),
      ],
    });`);
});

const call = (host: Extism, name: string, input: unknown = {}) =>
  host.call("handle_mcp_call", { name, arguments: input, context });

test("a module imports the effects that it uses, and exports what it has", () => {
  assert.deepEqual(names(module, "imports"), ["git_get_branch", "kv_get"]);
  assert.deepEqual(names(module, "exports"), [
    "memory",
    "_initialize",
    "exomonad_memory_read",
    "exomonad_memory_write",
    "exomonad_reseed",
    "handle_list_tools",
    "handle_mcp_call",
    "describe",
  ]);
});

test("an effect is performed, by its own import", () => {
  const host = new Extism({
    git_get_branch: () => ({ kind: "Success", payload: { head: "branch", branch: "main" } }),
    kv_get: ({ key }: { key: string }) => ({ kind: "Error", payload: { code: "not_found", message: `no ${key}` } }),
  }).start(module);
  assert.equal(call(host, "branch").content[0].text, "main");
  assert.deepEqual(call(host, "key", { key: "k" }), { content: [{ type: "text", text: "no k" }], isError: true });
});

test("each sandbox draws other numbers", () => {
  const draw = () => call(new Extism().start(module), "numbers").structuredContent;
  const [first, second] = [draw(), draw()];
  assert.notEqual(first.numbers[0], second.numbers[0]);
  assert.notEqual(first.numbers[1], second.numbers[1]);
  assert.equal(second.calls, 1);
});

test("numbers and texts come through exactly", () => {
  const host = new Extism().start(module);
  const json = '{"input":{"a":18446744073709551615,"b":"\\u0001é😀","c":-9223372036854775808}}';
  host.call("handle_mcp_call", `{"name":"same","arguments":${json.slice(9, -1)},"context":{"role":"r","callId":"c"}}`);
  const text = host.output.slice(host.output.indexOf('"structuredContent":') + 20, -1);
  assert.equal(text, json);
  assert.deepEqual(call(host, "bytes", { text: "é😀" }).structuredContent, { text: "é😀", length: 6, wrong: "a\uFFFD" });
  host.call("handle_mcp_call", '{"name":"same","arguments":{"half":"\\ud800"},"context":{"role":"r","callId":"c"}}');
  assert.deepEqual(JSON.parse(host.output).structuredContent, { input: { half: "\uFFFD" } });
});

test("an exception ends the call with its message and stack, a ToolError is a result", () => {
  const host = new Extism().start(module);
  assert.throws(() => call(host, "crash"), /TypeError: a mistake\n {4}at crashing/);
  assert.deepEqual(call(host, "later"), { content: [{ type: "text", text: "Hello later" }], isError: true });
  assert.throws(() => call(host, "hangs"), /awaits a promise that nothing will resolve/);
  assert.throws(() => call(host, "recurs"), /RangeError: Maximum call stack size exceeded/);
  const nested = "[".repeat(100_000);
  assert.throws(() => call(host, "parses", { text: nested }), /Maximum call stack size exceeded/);
  assert.throws(() => host.call("handle_mcp_call", nested), /Maximum call stack|nested more than/);
  assert.throws(() => host.call("handle_mcp_call", "{}"), /\$\.name: missing/);
});

test("lines go to the host's log", () => {
  const host = new Extism().start(module);
  call(host, "logs");
  assert.deepEqual(host.lines, ['info: a line {"n":1} no']);
});

test("a plugin that draws when it is loaded makes no promise to draw anew", () => {
  const source = `import { definePlugin } from "exomonad-guest"; const id = Math.random(); export default definePlugin({ name: String(id) });`;
  assert.ok(!names(built(source), "exports").includes("exomonad_reseed"));
});
