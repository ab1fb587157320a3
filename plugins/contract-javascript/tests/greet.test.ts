import assert from "node:assert/strict";
import test from "node:test";
import { FakeHost } from "exomonad-guest/testing";
import { greet } from "../src/greet.js";
import plugin from "../src/plugin.js";

test("a greeting waits for its signal", async () => {
  const host = new FakeHost();
  const signals = [{ at: 60_000, name: "go", payload: "at last" }];
  const { output, state, elapsed } = await host.runWorkflow(greet, { name: "Ada" }, { signals });
  assert.deepEqual([output, state, elapsed], [{ text: "Hello Ada, at last" }, { stage: "done" }, 60_000]);
  assert.equal(host.kv.get("greeted"), "Ada");
});

test("a hook names its event and the tool", async () => {
  const { decision, reason } = await new FakeHost().callHook(plugin, "pre_tool_use", { tool_name: "Bash" });
  assert.deepEqual([decision, reason], ["deny", "pre_tool_use Bash"]);
});

test("what does not decode is a failure that says where", async () => {
  const [roundTrip] = plugin.tools;
  assert.ok(roundTrip);
  const values = [{ values: [] }, { values: [1] }];
  const { content, isError } = await new FakeHost().callTool(roundTrip, { kind: "Completion", values });
  assert.equal(isError, true);
  assert.deepEqual(content, [{ type: "text", text: "values[1]: $.values[0]: expected a text, got a number" }]);
});
