// All that the entries of the package hand out.

export { Batch } from "./batch.js";
export { BatchClient, SpinneyClient, TreeClient } from "./client.js";
export { Snapshot, SnapshotTree, Spinney } from "./database.js";
export { Entries, Entry } from "./entries.js";
export { SpinneyError } from "./errors.js";
export { attach } from "./memory.js";
export { RemoteEntries, RemoteSpinney, RemoteTree } from "./remote.js";
export { Transaction } from "./transaction.js";
export { Tree } from "./tree.js";
