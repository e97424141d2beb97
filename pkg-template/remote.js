// The entry that only reads databases over HTTP, with a module of a third of the size.

import { openUrl as open } from "./face/remote.js";
import { loadFrom } from "./remote_init.js";

export { initSync } from "./remote_init.js";
export { Entry } from "./face/entries.js";
export { SpinneyError } from "./face/errors.js";
export { RemoteEntries, RemoteSpinney, RemoteTree } from "./face/remote.js";

export function init(source) {
  // Bundlers look for exactly this expression.
  return loadFrom(source ?? (() => new URL("./wasm/remote.wasm", import.meta.url)));
}

export async function openUrl(url, options) {
  await init();
  return open(url, options);
}
