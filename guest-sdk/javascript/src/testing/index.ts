/**
 * A host for tests, which run in Node.
 *
 * ```ts
 * import assert from "node:assert/strict";
 * import test from "node:test";
 * import * as git from "exomonad-guest/git";
 * import { FakeHost } from "exomonad-guest/testing";
 * import { greet } from "../src/plugin.js";
 *
 * test("a greeting names the branch", async () => {
 *   const host = new FakeHost().on(git.getBranch, () => ({ head: "branch", branch: "main" }));
 *   const greeting = await host.callTool(greet, { name: "Ada" });
 *   assert.deepEqual(greeting.structuredContent, { text: "Hello Ada on main" });
 *   assert.equal(host.requests(git.getBranch).length, 1);
 * });
 * ```
 *
 * By default it keeps keys and values in memory, has a clock that only `clock.sleep` moves, returns the same random
 * bytes in every run, keeps log lines, and takes progress and lines for a client. Any other effect answers
 * `not_configured` until a function is set for it.
 *
 * @module
 */

export { FakeHost, testContext } from "./host.js";
export type { FinishedRun, WorkflowScript } from "./workflow.js";
