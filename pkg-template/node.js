// The entry for Node.js: the .wasm is a file there, so all is ready when this module has been imported.

import { readFileSync } from "node:fs";
import { initSync } from "./init.js";

export { initSync } from "./init.js";
export {
  Batch, BatchClient, Entries, Entry, RemoteEntries, RemoteSpinney, RemoteTree, Snapshot, SnapshotTree, Spinney,
  SpinneyClient, SpinneyError, Transaction, Tree, TreeClient,
} from "./face/face.js";

initSync(readFileSync(new URL("./wasm/spinney.wasm", import.meta.url)));

export async function init() {}
