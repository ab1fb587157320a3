// Bundles the workflows as for production, so that the worker does not hold the bundler in memory.
//
// Usage: bundle.mjs FILE
import { writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";

const { code } = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL("workflows.mjs", import.meta.url)),
  logger: new DefaultLogger("ERROR"),
});
await writeFile(process.argv[2], code);
