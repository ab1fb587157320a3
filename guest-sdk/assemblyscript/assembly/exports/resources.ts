/** The exports of a plugin that has resources. */

import { listResources, listTemplates, readResource } from "../resource";

export function handle_list_resources(): i32 {
  return listResources();
}

export function handle_list_resource_templates(): i32 {
  return listTemplates();
}

export function handle_read_resource(): i32 {
  return readResource();
}
