/** The export of a plugin that completes arguments of prompts or variables of resources. */

import { complete } from "../resource";

export function handle_complete(): i32 {
  return complete();
}
