/** The exports that every plugin has. */

import { callTool, describe as described, listTools } from "../plugin";

export { exomonad_memory_read, exomonad_memory_write } from "../abi";

export function handle_list_tools(): i32 {
  return listTools();
}

export function handle_mcp_call(): i32 {
  return callTool();
}

export function describe(): i32 {
  return described();
}
