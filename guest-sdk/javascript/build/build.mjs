#!/usr/bin/env node
// Builds a plugin: bundles its files, and puts the script into the kernel.
//
//   exomonad-build src/plugin.ts -o hello.wasm      its default export is the plugin
//
//   --minify        without spaces and long names; stacks are harder to read then
//   --script FILE   also writes the script, to look at

import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import vm from "node:vm";
import { link } from "./module.mjs";
import { esbuild, resolveSdk, sdk } from "./sdk.mjs";

/** The plugin's files and those of the SDK that they use, as one script. */
async function bundle(entry, { minify }) {
  const { outputFiles } = await esbuild.build({
    stdin: {
      contents: `import ${JSON.stringify(path.join(sdk, "src/globals.ts"))};
        import * as plugin from ${JSON.stringify(path.resolve(entry))};
        import { serve } from ${JSON.stringify(path.join(sdk, "src/serve.ts"))};
        serve(plugin.default);`,
      resolveDir: path.dirname(path.resolve(entry)),
      sourcefile: "exomonad-build",
    },
    bundle: true,
    write: false,
    format: "iife",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2023",
    charset: "utf8",
    legalComments: "none",
    plugins: [resolveSdk],
    minify,
    keepNames: minify,
    logLevel: "warning",
    // The types of the arguments are all that a plugin needs of its own settings.
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
  });
  return outputFiles[0].text;
}

/** The effects whose functions the bundler has left in the script. */
export function effectsOf(script) {
  const names = script.matchAll(/["'`]exomonad:effect\/([a-z0-9_]+)["'`]/g);
  return [...new Set(Array.from(names, (found) => found[1]))].sort();
}

/** Runs the script as the kernel does, to learn which exports the plugin has, and if it draws random numbers. */
export function inspect(script) {
  const inKernel = (name) => () => {
    throw new Error(`${name} cannot be used while the plugin is loaded, only in its functions`);
  };
  const natives = ["input", "output", "effect", "config", "getVariable", "setVariable", "log", "monotonic"];
  const kernel = Object.fromEntries(natives.map((name) => [name, inKernel(name)]));
  let drawsAtStart = false;
  const draws = () => (drawsAtStart = true);
  const context = vm.createContext({
    __exomonad: {
      ...kernel,
      log: (_, line) => console.error(line),
      hasLongNumber: (text) => /[0-9]{16}/.test(text),
      encodeUtf8: (text) => new TextEncoder().encode(text),
      decodeUtf8: (bytes) => new TextDecoder().decode(bytes),
      encodeBase64: (bytes) => Buffer.from(bytes).toString("base64"),
      decodeBase64: (text) => new Uint8Array(Buffer.from(text, "base64")),
      fillRandom: draws,
    },
    __draws: draws,
    btoa,
    atob,
    queueMicrotask,
  });
  vm.runInContext(
    "{ const draws = __draws, { random } = Math; delete globalThis.__draws; Math.random = () => (draws(), random()); }",
    context,
  );
  vm.runInContext(script, context, { filename: "plugin.js" });
  const { exports } = context.__exomonad;
  return { exports: [...exports], drawsAtStart };
}

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      output: { type: "string", short: "o" },
      script: { type: "string" },
      minify: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const [entry] = positionals;
  if (values.help || !entry || positionals.length > 1 || !values.output) {
    const text = await readFile(fileURLToPath(import.meta.url), "utf8");
    console.log(text.split("\n").slice(1, 7).map((line) => line.replace(/^\/\/ ?/, "")).join("\n"));
    process.exit(values.help ? 0 : 2);
  }
  const bundled = await bundle(entry, values);
  const effects = effectsOf(bundled);
  const numbers = Object.fromEntries(effects.map((name, slot) => [name, slot]));
  const script = `__exomonad.effects=${JSON.stringify(numbers)};${bundled}`;
  if (values.script) await writeFile(values.script, script);
  const { exports, drawsAtStart } = inspect(script);
  if (drawsAtStart) {
    console.error("exomonad-build: the plugin draws random numbers when it is loaded, so each call has to load it anew");
  }
  const kernel = await readFile(path.join(sdk, "kernel/quickjs.wasm"));
  const module = link(kernel, { script: Buffer.from(script), effects, exports, drawsAtStart });
  if (!WebAssembly.validate(module)) throw new Error("the module is not valid; this is a mistake in exomonad-build");
  await writeFile(values.output, module);
  console.log(`${values.output}: ${module.length} bytes, of which ${Buffer.byteLength(script)} are the script`);
}

if (process.argv[1] && fileURLToPath(import.meta.url) === (await import("node:fs")).realpathSync(process.argv[1])) {
  try {
    await main();
  } catch (error) {
    // The bundler has said it already.
    if (!error?.errors) console.error(`exomonad-build: ${error?.stack ?? error}`);
    process.exitCode = 1;
  }
}
