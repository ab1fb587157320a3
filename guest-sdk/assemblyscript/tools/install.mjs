// Installs the packages of a project, if they are not there: `exomonad plugin build` right after `plugin new` works.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";

if (!existsSync("node_modules/exomonad-guest")) {
  console.error("installing the project's packages…");
  execFileSync("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error"], {
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
}
