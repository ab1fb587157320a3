/** The exports of a plugin that has prompts. */

import { getPrompt, listPrompts } from "../prompt";

export function handle_list_prompts(): i32 {
  return listPrompts();
}

export function handle_get_prompt(): i32 {
  return getPrompt();
}
