// Loading a wasm module, once, whatever asks for it how often.

import { SpinneyError } from "./errors.js";
import { attach, wasm } from "./memory.js";

// The load of the whole module that is under way. Who wants the small one waits for it.
let whole = Promise.resolve();

/**
 * The two ways to load a module with its glue. `needed` is a function that the module has: another one that is
 * there already serves if it has it, too.
 */
export function loader(load, loadSync, needed, isWhole) {
  let pending;
  // The glue is about to have an instance, and may have one of them only.
  let isLoading = false;

  async function start(source) {
    // So that what fails at once is noted before it is taken back.
    await undefined;
    try {
      if (!isWhole) await whole.catch(() => {});
      if (typeof source === "function" && !isThere(needed)) source = source();
      source = await source;
      if (isThere(needed)) return;
      isLoading = true;
      const exports = await load({ module_or_path: source });
      if (!isThere(needed)) attach(exports);
    } catch (cause) {
      // So that it can be tried again, when the network is back.
      pending = undefined;
      throw notLoaded(cause, source);
    } finally {
      isLoading = false;
    }
  }

  return {
    /** Loads the module from a source, or what a function gives; the same promise for everybody from then on. */
    loadFrom(source) {
      pending ??= start(source);
      if (isWhole) whole = pending;
      return pending;
    },

    /** Loads the module at once, from its bytes or from what they compile to. */
    initSync(module) {
      if (isThere(needed)) return;
      if (isLoading) throw new SpinneyError("LoadFailed", "init() is under way: wait for its promise instead");
      let exports;
      try {
        exports = loadSync({ module });
      } catch (cause) {
        throw notLoaded(cause, module);
      }
      attach(exports);
    },
  };
}

// What was made with one module is nothing to another, so none takes the place of one that is there.
function isThere(needed) {
  if (wasm !== undefined && !(needed in wasm)) {
    const message = 'this page has loaded "spinney/remote", which only reads: import everything from "spinney" instead';
    throw new SpinneyError("LoadFailed", message);
  }
  return wasm !== undefined;
}

function notLoaded(cause, source) {
  if (cause instanceof SpinneyError) return cause;
  const from = source instanceof URL || typeof source === "string" ? ` from ${source}` : "";
  const message = `the wasm module could not be loaded${from} (${cause?.message ?? cause}): see "Bundlers" in the README`;
  return new SpinneyError("LoadFailed", message, { cause });
}
