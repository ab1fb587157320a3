import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";
import { FakeHost } from "exomonad-guest/testing";

const plugin = await readFile(new URL("../{{name}}.wasm", import.meta.url));

test("a greeting names the branch", () => {
  const host = new FakeHost(plugin).on("git_get_branch", () => ({ head: "branch", branch: "main" }));
  const greeting = host.callTool("greet", { name: "Ada" });
  assert.deepEqual(greeting.structuredContent, { text: "Hello Ada on main" });
  assert.equal(host.requests("git_get_branch").length, 1);
});
