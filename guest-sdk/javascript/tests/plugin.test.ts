import assert from "node:assert/strict";
import test from "node:test";
import {
  allow,
  defineHook,
  definePlugin,
  definePrompt,
  defineResource,
  defineTool,
  EffectError,
  t,
  ToolError,
  ToolResult,
} from "exomonad-guest";
import * as clock from "exomonad-guest/clock";
import * as git from "exomonad-guest/git";
import * as kv from "exomonad-guest/kv";
import { FakeHost } from "exomonad-guest/testing";
import { entriesOf } from "../src/plugin.js";
import { variablesOf } from "../src/resource.js";

const greet = defineTool({
  name: "greet",
  description: "Greets.",
  input: t.object({ name: t.string("The name."), loud: t.optional(t.boolean()) }),
  output: t.object({ text: t.string() }),
  annotations: { readOnlyHint: true },
  run({ name, loud }) {
    const { branch } = git.getBranch();
    return { text: `Hello ${loud ? name.toUpperCase() : name} on ${branch ?? "nowhere"}` };
  },
});

test("a tool is listed with its schemas", async () => {
  const entry = entriesOf(definePlugin({ name: "p", tools: [greet] })).get("handle_list_tools");
  const { tools } = JSON.parse((await entry?.(() => "{}")) ?? "");
  assert.deepEqual(tools, [
    {
      name: "greet",
      description: "Greets.",
      inputSchema: {
        type: "object",
        properties: { name: { type: "string", description: "The name." }, loud: { type: "boolean" } },
        required: ["name"],
        additionalProperties: false,
      },
      outputSchema: {
        type: "object",
        properties: { text: { type: "string" } },
        required: ["text"],
        additionalProperties: false,
      },
      annotations: { readOnlyHint: true },
    },
  ]);
});

test("a tool's effects are answered by the test", async () => {
  const host = new FakeHost().on(git.getBranch, () => ({ head: "branch", branch: "main" }));
  const greeting = await host.callTool(greet, { name: "Ada", loud: true });
  assert.deepEqual(greeting.structuredContent, { text: "Hello ADA on main" });
  assert.deepEqual(greeting.content, [{ type: "text", text: '{"text":"Hello ADA on main"}' }]);
  assert.equal(host.requests(git.getBranch).length, 1);
  for (const [wrong, problem] of [
    [{}, "$.name: missing"],
    [{ name: 1 }, "$.name: expected string"],
    [{ name: null }, "$.name: expected string"],
    [[], "$: expected object"],
    [{ name: "Ada", age: 1 }, "$.age: there is no such field"],
  ]) {
    const { content, isError } = await host.callTool(greet, wrong);
    assert.deepEqual([isError, content], [true, [{ type: "text", text: `the arguments do not fit: ${problem}` }]]);
  }
});

test("a failed effect and a ToolError are results, anything else is thrown", async () => {
  const host = new FakeHost();
  const failed = await host.callTool(greet, { name: "Ada" });
  assert.equal(failed.isError, true);
  assert.match(JSON.stringify(failed.content), /no answer for git_get_branch/);
  const fails = (error: Error) =>
    defineTool({
      name: "fails",
      description: "Fails.",
      run() {
        throw error;
      },
    });
  const told = await host.callTool(fails(new ToolError("no such branch")));
  assert.deepEqual(told, { content: [{ type: "text", text: "no such branch" }], isError: true });
  await assert.rejects(host.callTool(fails(new TypeError("a mistake"))), /a mistake/);
});

test("a tool's result may be a text, contents, nothing, or built by hand, also by a promise", async () => {
  const host = new FakeHost();
  const returns = (value: never) => defineTool({ name: "r", description: "Returns.", run: async () => value });
  const contentOf = async (value: unknown) => (await host.callTool(returns(value as never))).content;
  assert.deepEqual(await contentOf("a \"b\""), [{ type: "text", text: 'a "b"' }]);
  assert.deepEqual(await contentOf([1, 2]), [{ type: "text", text: "[1,2]" }]);
  assert.deepEqual(await contentOf(undefined), []);
  const image = { type: "image", data: new Uint8Array([1]), mimeType: "image/png" };
  assert.deepEqual(await contentOf([image]), [image]);
  assert.deepEqual(await host.callTool(returns(ToolResult.ofWorkflow("w") as never)), {
    content: [],
    isError: false,
    workflowId: "w",
  });
});

test("an effect's error has its code and details, and an unreadable answer is internal", () => {
  const host = new FakeHost().on(kv.get, () => {
    throw new EffectError("conflict", "twice", { key: 1n });
  });
  host.run(() => {
    assert.throws(
      () => kv.get({ key: "k" }),
      (error) => error instanceof EffectError && error.code === "conflict" && (error.details as { key: number }).key === 1,
    );
    assert.throws(() => kv.get({} as never), /kv_get does not fit: \$\.key: missing/);
  });
  host.on(git.getBranch, () => ({}) as never);
  host.run(() => assert.throws(() => git.getBranch(), /missing/));
});

test("the fake host keeps keys and values, and only sleeping moves its clock", () => {
  const host = new FakeHost();
  host.run(() => {
    for (const key of ["a/1", "a/2", "b"]) kv.set({ key, value: [key] });
    assert.deepEqual(kv.list({ prefix: "a/", limit: 1 }), { keys: ["a/1"], next: "a/1" });
    assert.deepEqual(kv.list({ prefix: "a/", after: "a/1" }), { keys: ["a/2"] });
    assert.deepEqual(kv.get({ key: "b" }), { found: true, value: ["b"] });
    assert.equal(kv.remove({ key: "b" }).existed, true);
    assert.equal(kv.get({ key: "b" }).found, false);
    clock.sleep({ millis: 90_061_001 });
    assert.equal(clock.now().iso8601, "2026-01-02T01:01:01.001Z");
  });
});

test("hooks, resources and prompts", async () => {
  const host = new FakeHost();
  const plugin = definePlugin({
    name: "p",
    hooks: [defineHook("stop", () => allow())],
    resources: [
      defineResource({ uri: "notes://first", name: "first", read: () => "one" }),
      defineResource({ uri: "notes://{name}", name: "note", read: ({ name }) => (name === "x" ? { name } : undefined) }),
    ],
    prompts: [
      definePrompt({
        name: "greet",
        description: "Greets.",
        arguments: t.object({ name: t.string() }),
        complete: { name: (value) => ["Ada", "Grace"].filter((one) => one.startsWith(value)) },
        get: ({ name }) => `Greet ${name}.`,
      }),
    ],
  });
  assert.deepEqual(await host.callHook(plugin, "stop", {}), { decision: "allow" });
  const read = async (uri: string) => {
    const { contents, error } = await host.readResource(plugin, uri);
    return contents?.[0]?.text ?? error?.code;
  };
  assert.deepEqual(
    [await read("notes://first"), await read("notes://x"), await read("notes://y"), await read("other:")],
    ["one", '{"name":"x"}', "not_found", "not_found"],
  );
  assert.deepEqual((await host.getPrompt(plugin, "greet", { name: "Ada" })).messages, [
    { role: "user", content: { type: "text", text: "Greet Ada." } },
  ]);
  assert.equal((await host.getPrompt(plugin, "greet")).error?.code, "invalid_input");
  const entries = entriesOf(plugin);
  assert.deepEqual([...entries.keys()], [
    "handle_list_tools",
    "handle_mcp_call",
    "describe",
    "handle_stop",
    "handle_list_resources",
    "handle_list_resource_templates",
    "handle_read_resource",
    "handle_list_prompts",
    "handle_get_prompt",
    "handle_complete",
  ]);
  const input = { prompt: "greet", argument: "name", value: "G", context: { role: "r", callId: "c" } };
  const completed = await entries.get("handle_complete")?.(() => JSON.stringify(input));
  assert.deepEqual(JSON.parse(completed ?? "").completion.values, ["Grace"]);
});

test("a template takes what stands between its texts", () => {
  const fits = (template: string, uri: string) => variablesOf(template, uri);
  assert.deepEqual(fits("a://b", "a://b"), {});
  assert.deepEqual(fits("a://{x}/{y}", "a://1/2"), { x: "1", y: "2" });
  assert.deepEqual(fits("a://{x}-{y}", "a://1-2-3"), { x: "1", y: "2-3" });
  assert.deepEqual(fits("a://{+x}", "a://1/2"), { x: "1/2" });
  assert.deepEqual(fits("a://{x}", "a://d%C3%A9j%C3%A0%20vu"), { x: "déjà vu" });
  for (const [template, uri] of [
    ["a://b", "a://c"],
    ["a://{x}", "a://"],
    ["a://{x}", "a://1/2"],
    ["a://{x}/data", "a://1/date"],
    ["a://{x}", "a://%ff"],
    ["a://{x}", "a://%2"],
    ["a://{x", "a://1"],
  ] as const) {
    assert.equal(fits(template, uri), undefined, `${template} ${uri}`);
  }
});
