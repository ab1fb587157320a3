import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import test, { after } from "node:test";
import { EffectError, FakeHost } from "../testing/index.mjs";

const here = import.meta.dirname;
const folder = mkdtempSync(path.join(here, ".built-"));
after(() => rmSync(folder, { recursive: true }));

// The compiler of `scripts/guest-toolchain assemblyscript`, which has to be in PATH.
const output = path.join(folder, "plugin.wasm");
execFileSync("exomonad-asc", [path.join("tests/fixture/plugin.ts"), "-o", output], { cwd: path.join(here, ".."), stdio: "inherit" });
const plugin = readFileSync(output);

test("a module imports the effects that it uses, and exports what it has", () => {
  const module = new WebAssembly.Module(plugin);
  const effects = WebAssembly.Module.imports(module).filter((one) => one.module === "extism:host/user");
  assert.deepEqual(effects.map((one) => one.name), ["kv_get"]);
  assert.deepEqual(WebAssembly.Module.exports(module).map((one) => one.name).sort(), [
    "_initialize",
    "describe",
    "exomonad_memory_read",
    "exomonad_memory_write",
    "handle_list_tools",
    "handle_mcp_call",
    "memory",
  ]);
});

test("arguments are read by name, and those that are absent are empty", () => {
  const host = new FakeHost(plugin);
  const any = { a: [1.5, null] };
  const input = { text: "é", integer: -5, number: 2.25, boolean: true, texts: ["a", "b"], any };
  assert.deepEqual(host.callTool("given", input).structuredContent, { ...input, role: "test", calls: 1 });
  assert.deepEqual(host.callTool("given", { text: "" }).structuredContent, {
    text: "",
    integer: 0,
    number: 0,
    boolean: false,
    texts: [],
    any: null,
    role: "test",
    calls: 1,
  });
});

test("arguments that do not fit are refused with their place", () => {
  const host = new FakeHost(plugin);
  for (const [input, problem] of [
    [{}, "$.text: missing"],
    [{ text: 1 }, "$.text: expected string"],
    [{ text: "", integer: 1.5 }, "$.integer: expected integer"],
    [{ text: "", choice: "c" }, "$.choice: expected string"],
    [{ text: "", other: 1 }, "$.other: there is no such field"],
    [[], "$: expected an object, got a list"],
  ]) {
    const { content, isError } = host.callTool("given", input);
    assert.deepEqual([isError, content[0].text], [true, `the arguments do not fit: ${problem}`]);
  }
});

test("settings, variables and lines", () => {
  const host = new FakeHost(plugin).withConfig("greeting", "Hello");
  const { structuredContent } = host.callTool("settings");
  assert.deepEqual(structuredContent, { greeting: "Hello", variable: "é😀", other: false });
  assert.deepEqual(host.lines, ["warn: a line"]);
});

test("an effect's failure is a result, and asking for its answer nevertheless ends the call", () => {
  const host = new FakeHost(plugin);
  host.kv.set("k", [1]);
  assert.equal(host.callTool("key", { key: "k" }).content[0].text, "[1]");
  host.on("kv_get", () => {
    throw new EffectError("unavailable", "away");
  });
  assert.deepEqual(host.callTool("key", { key: "k" }), { content: [{ type: "text", text: "away" }], isError: true });
  assert.throws(() => host.callTool("careless"), /unavailable: away at/);
});
