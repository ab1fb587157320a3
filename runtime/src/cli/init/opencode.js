// Written by `exomonad init`, which replaces it; `exomonad init --remove` removes it.
// Asks a role of exomonad before opencode acts. Exit code 2 of the command denies.
import { spawn } from "node:child_process";

const PROGRAM = ["PROGRAM"];
const ROLE = "ROLE";
const EVENTS = ["EVENTS"];

function ask(event, payload) {
  const [program, ...options] = PROGRAM;
  const words = [...options, "hook", event, "--agent", "opencode", "--role", ROLE];
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: ["pipe", "pipe", "pipe"] });
    let output = "";
    let errors = "";
    child.stdout.on("data", (part) => (output += part));
    child.stderr.on("data", (part) => (errors += part));
    // It may have ended before it has read everything.
    child.stdin.on("error", () => {});
    child.on("error", (error) => reject(new Error(`${program} cannot be started: ${error.message}`)));
    child.on("close", (code) => {
      if (code === 2 || code === null) return reject(new Error(errors.trim() || `${program} was ended`));
      if (code !== 0) console.error(errors.trim());
      resolve(output.trim() ? JSON.parse(output) : {});
    });
    child.stdin.end(JSON.stringify(payload));
  });
}

export const Exomonad = async ({ directory }) => {
  const hooks = {
    "tool.execute.before": async (input, output) => {
      const { args } = await ask("tool.execute.before", { ...input, cwd: directory, args: output.args });
      if (args) output.args = args;
    },
    "tool.execute.after": async (input, output) => {
      await ask("tool.execute.after", { ...input, cwd: directory, output: output.output });
    },
    "permission.ask": async (input, output) => {
      const { status } = await ask("permission.ask", { ...input, cwd: directory });
      if (status) output.status = status;
    },
    event: async ({ event }) => {
      // What is only told must not stop it.
      await ask("event", { cwd: directory, event }).catch(() => {});
    },
  };
  return Object.fromEntries(Object.entries(hooks).filter(([event]) => EVENTS.includes(event)));
};
