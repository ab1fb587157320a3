import { Arguments, Json, JsonObject, object } from "exomonad-guest/assembly/index";
import { KvSet, WorkflowOutcome } from "exomonad-guest/assembly/generated/types";
import * as kv from "exomonad-guest/assembly/generated/kv";
import * as workflow from "exomonad-guest/assembly/workflow";

function stage(name: string): Json {
  return new JsonObject().text("stage", name).json();
}

/** A workflow that does a bit of each. */
function greet(input: Arguments, run: workflow.Run): WorkflowOutcome {
  const begun = workflow.setState(stage("begun"));
  if (!begun.ok) return workflow.failedBy(begun.error);
  const kept = kv.set(KvSet.of("greeted", Json.ofText(input.text("name"))));
  if (!kept.ok) return workflow.failedBy(kept.error);
  const slept = workflow.sleep(10);
  if (!slept.ok) return workflow.failedBy(slept.error);
  const payload = workflow.waitSignal("go");
  if (!payload.ok) return workflow.failedBy(payload.error);
  const done = workflow.setState(stage("done"));
  if (!done.ok) return workflow.failedBy(done.error);
  const text = payload.value.asText();
  return workflow.completed(
    new JsonObject().text("text", `Hello ${input.text("name")}, ${text === null ? "" : text}`).json(),
  );
}

function stageOf(state: Json, input: Json): Json {
  const stage = state.field("stage");
  return stage === null ? new Json() : stage;
}

/** Version 1 was the stage alone. */
function migrate(fromVersion: u32, state: Json): Json | null {
  const text = state.asText();
  return text === null ? null : stage(text);
}

new workflow.Workflow(
  "greet",
  "Greets someone when it gets the signal to go.",
  object().text("name", "The name."),
  greet,
)
  .withOutput(object().text("text"))
  .withState(object().text("stage"), 2, migrate)
  .signal("go", '{"type":"string"}')
  .query("stage", stageOf);
