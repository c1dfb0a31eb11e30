// Gives the components that `jco serve` runs the directory of the provider `files`: `jco serve --jco-import sessions.js`.
// jco itself grants none. SESSIONS_FOLDER names the directory on this machine.
import { _addPreopen, types } from "@bytecodealliance/preview2-shim/filesystem";

_addPreopen("/sessions", process.env.SESSIONS_FOLDER);

// The standard library of Rust opens a directory in order to read it with a flag that jco refuses as unsupported.
const { openAt } = types.Descriptor.prototype;
types.Descriptor.prototype.openAt = function (pathFlags, path, openFlags, flags) {
  return openAt.call(this, pathFlags, path, openFlags, { ...flags, mutateDirectory: false });
};
