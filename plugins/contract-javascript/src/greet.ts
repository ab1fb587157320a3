import { defineWorkflow, t } from "exomonad-guest";
import * as kv from "exomonad-guest/kv";
import * as workflow from "exomonad-guest/workflow";

interface State {
  stage: string;
}

/** A workflow that does a bit of each. */
export const greet = defineWorkflow({
  name: "greet",
  description: "Greets someone when it gets the signal to go.",
  input: t.object({ name: t.string("The name.") }),
  output: t.object({ text: t.string() }),
  state: {
    schema: t.object({ stage: t.string() }),
    version: 2,
    // Version 1 was the stage alone.
    migrate: (_fromVersion, state): State => ({ stage: String(state) }),
  },
  signals: { go: t.string("The rest of the greeting.") },
  queries: { stage: ({ stage }: State) => stage },
  run({ name }) {
    workflow.setState({ stage: "begun" } satisfies State);
    kv.set({ key: "greeted", value: name });
    workflow.sleep(10);
    const payload = workflow.waitSignal<string>("go");
    workflow.setState({ stage: "done" } satisfies State);
    return { text: `Hello ${name}, ${payload}` };
  },
});
