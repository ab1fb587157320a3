// A client by Temporal's SDK for TypeScript: it starts `wait_for`, asks how far it is, signals it, and prints its
// result.
//
// Usage: client.mjs ADDRESS TASK_QUEUE
import { Client, Connection } from "@temporalio/client";

const [address, taskQueue] = process.argv.slice(2);
const connection = await Connection.connect({ address });
const client = new Client({ connection });
const handle = await client.workflow.start("wait_for", {
  args: [{ signal: "go" }],
  taskQueue,
  workflowId: "typescript",
});
while ((await handle.query("progress", {})) !== "waiting") {
  await new Promise((resolve) => setTimeout(resolve, 50));
}
await handle.signal("go", { cups: 3 });
console.log(JSON.stringify(await handle.result()));
await connection.close();
