// The entry that carries the .wasm in itself: for pages of one file, and where nothing can be fetched.

import { initSync as loadSync, loadFrom } from "./init.js";
import { base64 } from "./wasm/base64.js";

export {
  Batch, BatchClient, Entries, Entry, RemoteEntries, RemoteSpinney, RemoteTree, Snapshot, SnapshotTree, Spinney,
  SpinneyClient, SpinneyError, Transaction, Tree, TreeClient,
} from "./face/face.js";

function decoded() {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export function init(source) {
  return loadFrom(source ?? decoded());
}

export function initSync(module) {
  loadSync(module ?? decoded());
}
