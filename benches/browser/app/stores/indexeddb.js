// IndexedDB through idb: paths are the keys of one object store. Every answer is a promise. Reads that
// follow each other share a transaction, which is the faster way; a put has one of its own, as one of the
// others is a commit.

import { openDB } from "/node_modules/idb/build/index.js";
import { endOf } from "../paths.js";

const STORE = "files";
const BATCH = 10000;
const RANGE_KEYS = 1000;

export const load = async () => {};

export async function openFiles() {
  const db = await openDB("bench", 1, { upgrade: (made) => made.createObjectStore(STORE) });
  let shared;

  async function put(path, value, durability) {
    const transaction = db.transaction(STORE, "readwrite", { durability });
    transaction.store.put(value, path);
    await transaction.done;
  }

  return {
    isAsync: true,
    putDurable: (path, value) => put(path, value, "strict"),
    putBuffered: (path, value) => put(path, value, "relaxed"),
    settle: () => {},
    /** Runs reads in one transaction. */
    async together(run) {
      shared = db.transaction(STORE, "readonly").store;
      await run();
    },
    get: async (path) => (await shared.get(path)).length,
    bytes: (path) => shared.get(path),
    // Many keys at once where there are files, one where there was a directory.
    async list(prefix, see) {
      const end = prefix === "" ? "\u{10ffff}" : endOf(prefix);
      let start = prefix;
      let wanted = 1;
      for (;;) {
        const keys = await shared.getAllKeys(IDBKeyRange.bound(start, end, false, true), wanted);
        let next;
        for (const key of keys) {
          if (next !== undefined && key < next) continue;
          const slash = key.indexOf("/", prefix.length);
          const child = slash < 0 ? key : key.slice(0, slash + 1);
          see(child);
          next = slash < 0 ? undefined : endOf(child);
        }
        if (keys.length < wanted) return;
        start = next ?? `${keys.at(-1)}\0`;
        wanted = next === undefined ? RANGE_KEYS : 1;
      }
    },
    async scanKeys(start, limit, see) {
      for (const key of await shared.getAllKeys(IDBKeyRange.lowerBound(start, true), limit)) see(key);
    },
    async scan(start, limit, see) {
      const range = IDBKeyRange.lowerBound(start, true);
      const asked = [shared.getAllKeys(range, limit), shared.getAll(range, limit)];
      const [keys, values] = await Promise.all(asked);
      for (let i = 0; i < keys.length; i++) see(keys[i], values[i]);
    },
    async page(start, limit) {
      const found = [];
      await this.scan(start, limit, (key, value) => found.push({ key, value }));
      return found;
    },
    async fill(entries) {
      let transaction;
      let count = 0;
      for (const [path, value] of entries) {
        if (count++ % BATCH === 0) {
          await transaction?.done;
          transaction = db.transaction(STORE, "readwrite", { durability: "relaxed" });
        }
        transaction.store.put(value, path);
      }
      await transaction.done;
    },
    close: () => db.close(),
  };
}
