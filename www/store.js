// One asynchronous interface to the three kinds of databases that the page shows: a file that is read over
// HTTP, one in memory, and one in this browser's own storage, behind a worker. It measures every operation,
// and tells whoever wants to know.

import { init, Spinney } from "./pkg/index.js";
import { Traffic } from "./traffic.js";

/** What this build of the package can do. */
export const can = {
  get openUrl() {
    return typeof Spinney.openUrl === "function";
  },
  get openWorker() {
    return typeof Spinney.openWorker === "function" && typeof navigator.storage?.getDirectory === "function";
  },
};

// Reads are run again: one run of some microseconds says more of the clock than of the engine.
const AGAIN_UP_TO_MILLIS = 4;
const RUNS_MIN = 3;
const RUNS_MAX = 25;

const BATCH = 2000;

export class Store extends EventTarget {
  #db;
  #tree;
  #traffic;

  /** "url", "memory" or "worker". */
  kind;

  constructor(kind, db, tree, traffic) {
    super();
    this.kind = kind;
    this.#db = db;
    this.#tree = tree;
    this.#traffic = traffic;
  }

  /** A catalog behind an address: only what is touched is fetched. `onRange` is told what has come. */
  static async openUrl(url, onRange, options = {}) {
    await init();
    const traffic = new Traffic(onRange);
    const db = await Spinney.openUrl(url, { ...options, fetch: traffic.fetch });
    return new Store("url", db, await treeOf(db), traffic);
  }

  static async memory() {
    await init();
    const db = Spinney.memory();
    return new Store("memory", db, db);
  }

  static async fromImage(image) {
    await init();
    const db = Spinney.fromImage(image);
    return new Store("memory", db, await treeOf(db));
  }

  /** A database that outlives the page. */
  static async openWorker(name) {
    await init();
    // After a reload the page before may still be on its way out.
    const db = await Spinney.openWorker(name, { durability: "buffered", waitMs: 2000 });
    return new Store("worker", db, await treeOf(db));
  }

  get isWritable() {
    return this.kind !== "url";
  }

  get requests() {
    return this.#traffic?.requests ?? 0;
  }

  get bytesFetched() {
    return this.#traffic?.bytes ?? 0;
  }

  // -------------------------------------------------------------------- reads -----

  /** Children of a directory, or those that begin with the last part of `prefix`. */
  async list(prefix, { after, limit }) {
    const what = `list ${prefix || "/"}`;
    return this.#measure(
      what,
      () => this.#children(prefix, after, limit),
      true,
      (rows) => rows.length,
    );
  }

  /** The same where it is not worth a line of the log: completions, and what is shown again after a write. */
  async listQuietly(prefix, { after, limit }) {
    return this.#children(prefix, after, limit);
  }

  #children(prefix, after, limit) {
    const options = after === undefined ? { limit } : { limit, startAfter: after };
    return all(this.#tree.list(prefix, options));
  }

  async get(key) {
    return this.#measure(`get ${key}`, () => this.#tree.get(key), true);
  }

  async count(prefix) {
    return this.#measure(
      `count ${prefix || "/"}`,
      () => this.#tree.count(prefix),
      true,
      (keys) => keys,
    );
  }

  /** How many keys begin so, for what is on screen anyway. */
  async countQuietly(prefix) {
    return this.#tree.count(prefix);
  }

  /** All keys with their values. */
  *pairs() {
    for (const { key, value } of this.#tree.scan("")) yield [key, value];
  }

  /** The names of all trees, of which one is shown. */
  async trees() {
    return this.#db.trees();
  }

  async stats() {
    return this.#db.stats();
  }

  async image() {
    return this.#db.image();
  }

  // ------------------------------------------------------------------- writes -----

  async put(key, value) {
    return this.#measure(`put ${key}`, () => this.#tree.put(key, value));
  }

  async remove(key) {
    return this.#measure(`remove ${key}`, () => this.#tree.remove(key));
  }

  async rename(from, to) {
    return this.#measure(`rename ${from}`, () => this.#tree.rename(from, to));
  }

  async renamePrefix(from, to) {
    return this.#measure(`renamePrefix ${from}`, () => this.#tree.renamePrefix(from, to));
  }

  async removePrefix(prefix) {
    return this.#measure(`removePrefix ${prefix || "/"}`, () => this.#tree.removePrefix(prefix));
  }

  /** Puts many keys; `progress` is told how many are there. Returns the microseconds that the puts took. */
  async putAll(pairs, progress = () => {}) {
    const left = pairs[Symbol.iterator]();
    let micros = 0;
    let done = 0;
    for (let part = taken(left); part.length > 0; part = taken(left)) {
      const start = performance.now();
      await this.#putPart(part);
      micros += (performance.now() - start) * 1000;
      done += part.length;
      progress(done);
      // So that the page is drawn meanwhile.
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.#tell({ what: "put", rows: done, micros });
    return micros;
  }

  #putPart(part) {
    if (this.kind === "memory") {
      for (const [key, value] of part) this.#tree.put(key, value);
      return undefined;
    }
    const batch = this.#db.batch();
    for (const [key, value] of part) batch.put(this.#tree, key, value);
    return batch.commit();
  }

  /** Everything that was written is on disk. */
  async sync() {
    if (this.kind === "worker") await this.#db.sync();
  }

  async close() {
    await this.#db.close();
  }

  // ------------------------------------------------------------------ measure -----

  /** `run` may answer at once, which is then timed without a turn of the event loop. */
  async #measure(what, run, isRead = false, rowsOf = undefined) {
    // The worker may be busy with storing what was written before; that is not what is measured here.
    if (this.kind === "worker") await this.#tree.contains("");
    const before = {
      requests: this.requests,
      bytes: this.bytesFetched,
      busyMillis: this.#traffic?.busyMillis,
    };
    const { result, millis } = await timed(run);
    const operation = { what, rows: rowsOf?.(result), micros: millis * 1000 };
    if (this.#traffic) {
      operation.requests = this.requests - before.requests;
      operation.bytes = this.bytesFetched - before.bytes;
      operation.waitedMillis = this.#traffic.busyMillis - before.busyMillis;
    }
    // What had to wait for the network says nothing of the engine until its pages are here.
    if (isRead) operation.micros = (await again(run, operation.requests > 0 ? [] : [millis])) * 1000;
    this.#tell(operation);
    return result;
  }

  #tell(operation) {
    this.dispatchEvent(new CustomEvent("operation", { detail: operation }));
  }
}

/** The next items of an iterator, a batch of them at most. */
function taken(iterator) {
  const part = [];
  while (part.length < BATCH) {
    const { value, done } = iterator.next();
    if (done) break;
    part.push(value);
  }
  return part;
}

async function timed(run) {
  const start = performance.now();
  let result = run();
  if (typeof result?.then === "function") result = await result;
  return { result, millis: performance.now() - start };
}

/** The median of several runs, with those that there are already. */
async function again(run, millis) {
  let spent = millis.reduce((sum, took) => sum + took, 0);
  while (millis.length < RUNS_MIN || (spent < AGAIN_UP_TO_MILLIS && millis.length < RUNS_MAX)) {
    const { millis: took } = await timed(run);
    millis.push(took);
    spent += took;
  }
  const median = [...millis].sort((a, b) => a - b)[millis.length >> 1];
  // A clock too coarse to see one run sees all of them.
  return median > 0 ? median : spent / millis.length;
}

/** The entries of an iterator, be it synchronous or not, as an array. */
function all(entries) {
  if (entries[Symbol.asyncIterator] === undefined) return entries.toArray();
  return (async () => {
    const found = [];
    for await (const entry of entries) found.push(entry);
    return found;
  })();
}

/**
 * The tree that the files are in: "files", as the command line tool names it, or the first that holds a key.
 */
async function treeOf(db) {
  const names = await db.trees();
  // Without a look into it, which would fetch pages.
  if (names.includes("files")) return db.tree("files");
  for (const name of names) {
    const tree = await db.tree(name);
    if ((await all(tree.list("", { limit: 1 }))).length > 0) return tree;
  }
  return db.tree("default");
}
