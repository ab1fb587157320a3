/** The SDK's own files, for the bundler. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the SDK. */
export const sdk = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");

// By `require`, which also looks into $NODE_PATH.
const require = createRequire(import.meta.url);

/** The bundler. */
export const esbuild = require("esbuild");

/** Finds the modules of the SDK in its own folder, also for a plugin that has not installed it. */
export const resolveSdk = {
  name: "exomonad-guest",
  setup(build) {
    const { exports } = JSON.parse(readFileSync(path.join(sdk, "package.json"), "utf8"));
    build.onResolve({ filter: /^exomonad-guest(\/|$)/ }, (imported) => {
      const name = imported.path.replace("exomonad-guest", ".");
      const file = exports[name] ?? exports["./*"].replace("*", name.slice(2));
      return { path: path.join(sdk, file) };
    });
  },
};
