import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { EffectError, FakeHost } from "../../../guest-sdk/assemblyscript/testing/index.mjs";

const plugin = readFileSync(new URL("../contract-assemblyscript.wasm", import.meta.url));
const roundTrip = (kind, values) => new FakeHost(plugin).callTool("round_trip", { kind, values });

test("a greeting waits for its signal", () => {
  const host = new FakeHost(plugin);
  const signals = [{ at: 60_000, name: "go", payload: "at last" }];
  const { output, state, elapsed } = host.runWorkflow("greet", { name: "Ada" }, { signals });
  assert.deepEqual([output, state, elapsed], [{ text: "Hello Ada, at last" }, { stage: "done" }, 60_000]);
  assert.equal(host.kv.get("greeted"), "Ada");
});

test("a run that is cancelled ends as cancelled", () => {
  const { outcome } = new FakeHost(plugin).runWorkflow("greet", { name: "Ada" }, { cancelAt: 5 });
  assert.equal(outcome.end, "cancelled");
});

test("hooks, resources, prompts and completion", () => {
  const host = new FakeHost(plugin);
  assert.deepEqual(host.callHook("pre_tool_use", { tool_name: "Bash" }), {
    decision: "deny",
    reason: "pre_tool_use Bash",
  });
  const read = (uri) => {
    const { contents = [], error } = host.readResource(uri);
    return contents[0]?.text ?? error.code;
  };
  assert.deepEqual(
    ["notes://first", "notes://d%C3%A9j%C3%A0%20vu", "notes://a/b", "notes://%ff", "notes://%2", "other://x"].map(read),
    ["the first note", "a note about déjà vu", "not_found", "not_found", "not_found", "not_found"],
  );
  assert.equal(host.getPrompt("greet", { name: "Ada" }).messages[0].content.text, "Greet Ada.");
  assert.equal(host.getPrompt("greet").error.code, "invalid_input");
  const complete = (of) => host.call("handle_complete", { argument: "name", context: { role: "r", callId: "c" }, ...of });
  assert.deepEqual(complete({ prompt: "greet", value: "G" }).completion.values, ["Grace"]);
  assert.deepEqual(complete({ uriTemplate: "notes://{name}", value: "" }).completion.values, ["alpha", "beta"]);
});

test("what does not decode is a failure that says where", () => {
  for (const [kind, value, problem] of [
    ["Completion", { values: [1] }, "$.values[0]: expected a text, got a number"],
    ["CallToolResult", { content: [{ type: "text" }] }, "$.content[0].text: missing"],
    ["CallToolResult", { content: [{ type: "film" }] }, "$.content[0].type: `film` is no Content"],
    ["McpAsk", { questions: [{ kind: "Elicit", payload: {} }] }, "$.questions[0].payload.message: missing"],
    ["Context", { role: null, callId: "1" }, "$.role: expected a text, got null"],
    ["HookOutput", { decision: "maybe" }, "$.decision: `maybe` is no HookDecision"],
    ["EmbeddedResource", { uri: "a", blob: "?" }, "$.blob: the text is not base64"],
  ]) {
    const { content, isError } = roundTrip(kind, [value]);
    assert.deepEqual([isError, content[0].text], [true, `values[0]: ${problem}`]);
  }
});

test("whole numbers are exact at both ends, and any JSON is kept as it is written", () => {
  const host = new FakeHost(plugin);
  const text = (values, kind) => {
    const input = `{"name":"round_trip","arguments":{"kind":"${kind}","values":${values}},"context":{"role":"r","callId":"c"}}`;
    const result = host.call("handle_mcp_call", input);
    return result.content[0].text;
  };
  assert.match(text('[{"total":18446744073709551615}]', "Completion"), /"total":18446744073709551615/);
  for (const [number, problem] of [
    ["18446744073709551616", /is not between 0 and 18446744073709551615/],
    ["-1", /is not between 0/],
    ["1.0", /expected a whole number/],
    ["1e3", /expected a whole number/],
  ]) {
    assert.match(text(`[{"total":${number}}]`, "Completion"), problem);
  }
  const any = '{"state":[1.0,-0.0,1e400,9007199254740993,-9223372036854775808,"\\u00e9"]}';
  assert.equal(text(`[${any}]`, "WorkflowMigrateResult"), `{"values":[${any}]}`);
});

test("hostile JSON ends in an error", () => {
  const host = new FakeHost(plugin);
  const call = (input) => host.call("handle_mcp_call", input);
  const wrong = ["", "[", "{", '{"name":', '{"name":"a\\x"}', '{"name":"\\ud8"}', "nul", '{"name":"a",}', "{,}", '{"a":[1,]}'];
  for (const input of [...wrong, "[".repeat(100_000), '{"a":'.repeat(100_000)]) assert.throws(() => call(input), Error);
  const half = call('{"name":"echo","arguments":{"text":"\\ud800 \\udc00 \\ud83d\\ude00"},"context":{"role":"r","callId":"c"}}');
  assert.equal(half.structuredContent.text, "\uFFFD \uFFFD 😀");
});

test("an exception ends the call with its message and place", () => {
  assert.throws(() => new FakeHost(plugin).callTool("crash"), /the plugin crashed on purpose at assembly\/plugin\.ts:\d+/);
});

test("a failed effect has its code and details", () => {
  const host = new FakeHost(plugin).on("kv_get", () => {
    throw new EffectError("conflict", "twice", { key: 1 });
  });
  const { structuredContent } = host.callTool("perform", { function: "kv_get", request: { key: "k" } });
  assert.deepEqual(structuredContent, { error: { code: "conflict", message: "twice", details: { key: 1 } } });
  const broken = new FakeHost(plugin).on("kv_get", () => ({}));
  assert.equal(broken.callTool("perform", { function: "kv_get", request: { key: "k" } }).structuredContent.error.code, "internal");
});

test("each call draws other numbers", () => {
  const draw = () => new FakeHost(plugin).callTool("random").structuredContent.numbers;
  assert.equal(new Set([...draw(), ...draw()]).size, 4);
});
