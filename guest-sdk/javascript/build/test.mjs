#!/usr/bin/env node
// Runs tests: bundles each file named *.test.ts or *.test.js of a folder, and runs them by `node --test`.
//
//   exomonad-test tests               those of the folder tests
//   exomonad-test tests --test-…      with options of `node --test`

import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { esbuild, resolveSdk } from "./sdk.mjs";

const [folder = "tests", ...options] = process.argv.slice(2);
const isTest = (name) => /\.test\.(ts|js|mjs)$/.test(name);
const names = (await readdir(folder, { recursive: true })).filter(isTest);
if (!names.length) {
  console.error(`exomonad-test: no *.test.ts or *.test.js in ${folder}`);
  process.exit(2);
}
// Within the folder, so that the tests find packages and files as if they were where they are written.
const into = await mkdtemp(path.join(folder, ".built-"));
try {
  await esbuild.build({
    entryPoints: names.map((name) => path.join(folder, name)),
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    plugins: [resolveSdk],
    sourcemap: "inline",
    outdir: into,
    outbase: folder,
    outExtension: { ".js": ".mjs" },
    logLevel: "warning",
  });
  const built = names.map((name) => path.join(into, name.replace(/\.\w+$/, ".mjs")));
  const { status } = spawnSync(process.execPath, ["--enable-source-maps", "--test", ...options, ...built], {
    stdio: "inherit",
  });
  process.exitCode = status ?? 1;
} catch (error) {
  if (!error?.errors) throw error;
  process.exitCode = 1;
} finally {
  await rm(into, { recursive: true, force: true });
}
