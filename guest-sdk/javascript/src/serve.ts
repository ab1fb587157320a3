/** Connects a plugin with the kernel; `exomonad-build` calls it. */

import { kernel } from "./host.js";
import { entriesOf, type Plugin } from "./plugin.js";

/** Makes a plugin's exports known to the kernel, which calls them by number. */
export function serve(plugin: Plugin | undefined): void {
  if (!kernel) throw new Error("this is no kernel");
  if (typeof plugin !== "object" || !Array.isArray(plugin.tools)) {
    throw new TypeError("the plugin's file has to have a plugin as its default export: export default definePlugin({…})");
  }
  const host = kernel;
  const entries = [...entriesOf(plugin)];
  host.exports = entries.map(([name]) => name);
  host.run = async (index) => {
    const found = entries[index];
    if (!found) throw new Error(`there is no export ${index}`);
    host.output(await found[1](() => host.input()));
  };
}
