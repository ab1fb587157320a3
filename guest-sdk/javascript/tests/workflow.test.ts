import assert from "node:assert/strict";
import test from "node:test";
import { ContinueAsNew, defineWorkflow, EffectError, t, WorkflowError } from "exomonad-guest";
import * as docker from "exomonad-guest/docker";
import * as kv from "exomonad-guest/kv";
import { FakeHost } from "exomonad-guest/testing";
import * as workflow from "exomonad-guest/workflow";

const DAY = 86_400_000;
const ran = { exitCode: 0, output: { stdout: "", stderr: "", truncated: false } };

function flow(run: (input: never) => unknown) {
  return defineWorkflow({ name: "flow", description: "A flow.", input: t.any(), run: run as never });
}

test("a run sleeps, waits for a signal and publishes its state, in no time", async () => {
  const host = new FakeHost();
  const waits = flow(() => {
    workflow.setState({ stage: "begun" });
    workflow.sleep(DAY);
    kv.set({ key: "slept", value: true });
    return { by: workflow.waitSignal<string>("approve") };
  });
  const run = await host.runWorkflow(waits, null, { signals: [{ at: 30 * DAY, name: "approve", payload: "Ada" }] });
  assert.deepEqual([run.output, run.state, run.elapsed], [{ by: "Ada" }, { stage: "begun" }, 30 * DAY]);
  assert.equal(host.kv.get("slept"), true);
});

test("a wait for a signal ends by the time, too", async () => {
  const waits = flow(() => workflow.waitSignalFor(DAY, "approve")?.payload ?? "nobody");
  assert.equal((await new FakeHost().runWorkflow(waits)).output, "nobody");
});

test("a step is tried again, and its attempts are seen", async () => {
  let attempts = 0;
  const host = new FakeHost().on(docker.exec, () => {
    attempts += 1;
    if (attempts < 3) throw new EffectError("unavailable", "away");
    return ran;
  });
  const retries = flow(() => workflow.step(docker.exec, { container: "c", command: ["make"] }, { retry: workflow.attempts(3) }).exitCode);
  const run = await host.runWorkflow(retries);
  assert.deepEqual([run.output, run.elapsed], [0, 3_000]);
  assert.deepEqual(host.timedRequests(docker.exec).map((one) => one.unixMillis - (host.unixMillis - 3_000)), [0, 1_000, 3_000]);
});

test("of a race the first is taken and the others are stopped", async () => {
  const host = new FakeHost().on(docker.exec, () => ran);
  const races = flow(() => {
    const exec = workflow.start(docker.exec, { container: "c", command: ["make"] });
    const { position } = workflow.race<unknown>([exec, workflow.timer(DAY)]);
    return position;
  });
  assert.equal((await host.runWorkflow(races, null, { takes: { docker_exec: 2 * DAY } })).output, 1);
});

test("what failed or was cancelled is undone, the last first", async () => {
  const undone: string[] = [];
  const undoes = (body: () => void) =>
    defineWorkflow({
      name: "flow",
      description: "A flow.",
      run(_input, run) {
        for (const name of ["one", "two"]) run.addCompensation(() => void undone.push(name));
        body();
      },
    });
  const fails = undoes(() => {
    throw new WorkflowError("too_late", "it is too late", { by: 1 });
  });
  const { outcome } = await new FakeHost().runWorkflow(fails);
  assert.deepEqual(outcome, { end: "failed", failure: { code: "too_late", message: "it is too late", details: { by: 1 } } });
  // Each run is called once more, which undoes once more.
  assert.deepEqual(undone, ["two", "one", "two", "one"]);
  const sleeps = undoes(() => workflow.sleep(DAY));
  const cancelled = await new FakeHost().runWorkflow(sleeps, null, { cancelAt: 5 });
  assert.deepEqual([cancelled.outcome, cancelled.elapsed], [{ end: "cancelled" }, 5]);
});

test("a run continues as new, and a child answers", async () => {
  const continues = flow(() => {
    throw new ContinueAsNew({ page: 2 });
  });
  assert.deepEqual((await new FakeHost().runWorkflow(continues)).outcome, { end: "continue_as_new", input: { page: 2 } });
  const parent = flow(() => workflow.startChild("other", { n: 1 }).wait());
  const run = await new FakeHost().runWorkflow(parent, null, { children: { other: (input) => [input] } });
  assert.deepEqual(run.output, [{ n: 1 }]);
});

test("a workflow that differs when it runs again fails the test", async () => {
  let calls = 0;
  const differs = flow(() => workflow.sleep(++calls));
  await assert.rejects(new FakeHost().runWorkflow(differs), /differs when it runs again/);
});
