// Runs the tests of the face over a package: all functions of the two files, but for those that need the
// module that they are compiled into.

import * as face from "./wasm_common/face.js";
import * as together from "./wasm_common/together.js";

const helpers = new Set(["openAndPut", "putAndGet", "startAndEnd", "openAndClose", "imageOf"]);

export function runAll(Spinney) {
  const passed = [];
  const failed = [];
  for (const [name, test] of [...Object.entries(face), ...Object.entries(together)]) {
    if (helpers.has(name)) continue;
    try {
      test(Spinney);
      passed.push(name);
    } catch (error) {
      failed.push(`${name}: ${error.stack}`);
    }
  }
  if (passed.length < 25) failed.push(`only ${passed.length} tests were found`);
  return { passed: passed.length, failed };
}
