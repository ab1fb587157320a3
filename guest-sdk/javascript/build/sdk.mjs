/** The SDK's own files, for the bundler. */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The folder of the SDK. */
export const sdk = path.join(path.dirname(fileURLToPath(import.meta.url)), "..");

/** The bundler: of the SDK, of $NODE_PATH, which `require` looks into, or of the project that is built. */
export const esbuild = required("esbuild");

function required(name) {
  try {
    return createRequire(import.meta.url)(name);
  } catch (error) {
    if (error.code !== "MODULE_NOT_FOUND") throw error;
    return createRequire(path.join(process.cwd(), "package.json"))(name);
  }
}

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
