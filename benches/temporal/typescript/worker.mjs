// A worker by Temporal's SDK for TypeScript.
//
// Usage: worker.mjs ADDRESS TASK_QUEUE SETTINGS BUNDLE (settings: JSON, as in workers.py)
import { DefaultLogger, NativeConnection, Runtime, Worker } from "@temporalio/worker";

const [address, taskQueue, json, codePath] = process.argv.slice(2);
const settings = JSON.parse(json);
Runtime.install({ logger: new DefaultLogger("WARN") });
const worker = await Worker.create({
  connection: await NativeConnection.connect({ address }),
  taskQueue,
  workflowBundle: { codePath },
  activities: { "kv.get": async () => ({ found: false, value: null }) },
  maxConcurrentWorkflowTaskExecutions: settings.workflow_tasks,
  maxConcurrentActivityTaskExecutions: settings.activities,
  maxConcurrentWorkflowTaskPolls: settings.workflow_pollers,
  maxConcurrentActivityTaskPolls: settings.activity_pollers,
  maxCachedWorkflows: settings.cached_runs,
});
await worker.run();
