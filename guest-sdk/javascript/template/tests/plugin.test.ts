import assert from "node:assert/strict";
import test from "node:test";
import * as git from "exomonad-guest/git";
import { FakeHost } from "exomonad-guest/testing";
import { greet } from "../src/plugin.js";

test("a greeting names the branch", async () => {
  const host = new FakeHost().on(git.getBranch, () => ({ head: "branch", branch: "main" }));
  const greeting = await host.callTool(greet, { name: "Ada" });
  assert.deepEqual(greeting.structuredContent, { text: "Hello Ada on main" });
  assert.equal(host.requests(git.getBranch).length, 1);
});
