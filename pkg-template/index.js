// The entry for browsers and their bundlers: fetches the .wasm that lies beside it.

import { loadFrom } from "./init.js";

export { initSync } from "./init.js";
export {
  Batch, BatchClient, Entries, Entry, RemoteEntries, RemoteSpinney, RemoteTree, Snapshot, SnapshotTree, Spinney,
  SpinneyClient, SpinneyError, Transaction, Tree, TreeClient,
} from "./face/face.js";

export function init(source) {
  // Bundlers look for exactly this expression.
  return loadFrom(source ?? (() => new URL("./wasm/spinney.wasm", import.meta.url)));
}
