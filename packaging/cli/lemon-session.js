#!/usr/bin/env node
// Runs the command, which is in the package of this platform.
import { spawn } from "node:child_process";
import { createRequire } from "node:module";
import { constants } from "node:os";

const platform = `${process.platform}-${process.arch}`;
const name = `lemon-session-cli-${platform}`;
let program;
try {
  program = createRequire(import.meta.url).resolve(`${name}/lemon-session`);
} catch {
  console.error(
    `lemon-session: the package ${name} is not installed. It comes with lemon-session-cli where there is a build for ` +
      `${platform}, unless npm omits optional dependencies; cargo builds the command elsewhere.`,
  );
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit" });
child.on("error", (error) => {
  console.error(`lemon-session: cannot run ${program}: ${error.message}`);
  process.exit(1);
});
// A service manager signals this process alone. A terminal sends SIGINT to both, and the command takes a second one as an
// order to stop at once.
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
process.on("SIGINT", () => {});
child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
