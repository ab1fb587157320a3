/** The exports of a plugin that has workflows. */

import { listWorkflows, migrateWorkflow, queryWorkflow, runWorkflow } from "../workflow";

export function handle_list_workflows(): i32 {
  return listWorkflows();
}

export function handle_workflow(): i32 {
  return runWorkflow();
}

export function handle_query(): i32 {
  return queryWorkflow();
}

export function handle_migrate(): i32 {
  return migrateWorkflow();
}
