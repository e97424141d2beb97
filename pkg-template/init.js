// Loading the wasm module, once, whatever asks for it how often.

import load, { initSync as loadSync } from "./wasm/glue.js";
import { SpinneyError } from "./face/errors.js";
import { attach, wasm } from "./face/memory.js";

let pending;

/** Loads the module from a source, or what a function gives; the same promise for everybody from then on. */
export function loadFrom(source) {
  pending ??= start(source);
  return pending;
}

async function start(source) {
  // So that what fails at once is noted before it is taken back.
  await undefined;
  try {
    if (typeof source === "function") source = source();
    const exports = await load({ module_or_path: await source });
    if (wasm === undefined) attach(exports);
  } catch (cause) {
    // So that it can be tried again, when the network is back.
    pending = undefined;
    const from = source instanceof URL || typeof source === "string" ? ` from ${source}` : "";
    const message = `the wasm module could not be loaded${from} (${cause?.message ?? cause}): see "Bundlers" in the README`;
    throw new SpinneyError("LoadFailed", message, { cause });
  }
}

/** Loads the module at once, from its bytes or from what they compile to. */
export function initSync(module) {
  if (wasm === undefined) attach(loadSync({ module }));
}
