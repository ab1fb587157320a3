// The workflows `steps` and `sleeper` of the plugin `workflows`, by Temporal's SDK for TypeScript.
import { proxyActivities, sleep, workflowInfo } from "@temporalio/workflow";

const { "kv.get": read } = proxyActivities({ startToCloseTimeout: "1 day" });

export async function steps({ count }) {
  const key = `steps/${workflowInfo().workflowId}`;
  for (let step = 0; step < count; step++) {
    await read({ key });
  }
  return { count };
}

export async function sleeper({ millis }) {
  await sleep(millis);
  return { millis };
}
