// All tests of the face, in a page without a bundler.

import { init, Spinney } from "spinney";
import { runAll } from "../harness.mjs";

init().then(
  () => (globalThis.result = JSON.stringify(runAll(Spinney))),
  (error) => (globalThis.result = `failed: ${error.stack}`),
);
