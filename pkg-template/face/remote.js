// Databases that are read over HTTP: the same calls as of any other, asynchronous, and nothing is written.
//
// A call is made with what is in memory. Where pages are missing it ends, they are fetched, and it is made
// again: nothing in the module waits.

import { Entry, LIST, readEntries, readNames, readOptions } from "./entries.js";
import { SpinneyError, invalid } from "./errors.js";
import {
  ABSENT, AWAITED, giveBack, isBytes, keep, readCursor, readPage, readText, readValue, readVersion, settle, wasm,
  writeBytes, writeKey, writeKeys, writeName, writeSecondKey,
} from "./memory.js";
import { Scope, adopt } from "./scope.js";
import { Source } from "./source.js";

// A call that has fetched so often is not getting anywhere.
const TRIPS_MAX = 200;
const CACHE_BYTES = 64 << 20;
const BLOB_BYTES = 512 << 10;
// Entries that a scan looks ahead for its first page; each page looks four times as far as the one before.
const SCAN_AHEAD = 512;
const SCAN_AHEAD_MAX = 16384;
const START_AFTER = 16;
const DEFAULT_HANDLE = 0;
// Keys that the module looks up together; a call with more of them would wait for one such batch after the other.
const BATCH_KEYS = 96;
// Batches under way together: what they need at most, some pages a key, does not take much of the cache.
const BATCHES_AT_ONCE = 16;

/** What the trees of a database share: the handle in the module, and where pages come from. */
class Connection {
  #source;
  #cacheBytes;
  #running = 0;
  scope;

  constructor(source, cacheBytes) {
    this.#source = source;
    this.#cacheBytes = cacheBytes;
  }

  async open() {
    await this.#source.open((sizeBytes) => {
      this.scope = new Scope(settle(wasm.spinney_remote(sizeBytes)));
      return (offset, bytes) => this.#handIn(offset, bytes);
    });
    await this.run(() => wasm.spinney_open_remote(this.scope.id), () => {});
  }

  #handIn(offset, bytes) {
    // What comes after the end is not wanted any more.
    if (this.scope.closed) return;
    const length = writeBytes(bytes);
    settle(wasm.spinney_hand_in(this.scope.id, offset, length));
    giveBack(length);
  }

  /** Makes a call until all that it needs is there, and reads what came of it. */
  async run(call, read) {
    this.scope.check();
    this.#running += 1;
    try {
      // Whoever waits for pages should find them.
      if (this.#running === 1) await this.#repeat(() => wasm.spinney_make_room(this.scope.id, this.#cacheBytes), () => {});
      return await this.#repeat(call, read);
    } finally {
      this.#running -= 1;
    }
  }

  async #repeat(call, read) {
    for (let trips = 0; trips < TRIPS_MAX; trips++) {
      this.scope.check();
      const answer = call();
      if (answer !== AWAITED) return read(settle(answer));
      await this.#source.bring(this.#wanted());
    }
    throw new SpinneyError("CacheTooSmall", "what one call needs does not fit: open it with larger cacheBytes");
  }

  #wanted() {
    const rows = settle(wasm.spinney_wanted(this.scope.id));
    const { numbers } = readPage(rows);
    return Array.from({ length: rows / 2 }, (_, i) => ({ start: numbers[i * 6 + 2], end: numbers[i * 6 + 5] }));
  }

  stats() {
    this.scope.check();
    const { sizeBytes, etag, counts } = this.#source;
    return { ...counts, pagesCached: settle(wasm.spinney_pages(this.scope.id)), sizeBytes, etag };
  }

  close() {
    this.#source.close();
    this.scope?.close((id) => wasm.spinney_close(id));
  }
}

/** A tree of a database that is read over HTTP. */
export class RemoteTree {
  #connection;
  #name;
  #handle;

  constructor(connection, name, handle) {
    if (!(connection instanceof Connection)) throw new TypeError("begin with await Spinney.openUrl(url)");
    this.#connection = connection;
    this.#name = name;
    this.#handle = handle;
  }

  // The tree is looked for once, by whoever comes first.
  #found() {
    this.#handle ??= this.#find().catch((error) => {
      this.#handle = undefined;
      throw error;
    });
    return this.#handle;
  }

  #find() {
    const find = () => wasm.spinney_existing_tree(this.#connection.scope.id, writeName(this.#name));
    return this.#connection.run(find, (handle) => {
      if (handle !== ABSENT) {
        adopt(this, this.#connection.scope, wasm.spinney_free_tree, handle);
        return handle;
      }
      const message = `there is no tree ${JSON.stringify(this.#name)}: see trees()`;
      throw new SpinneyError("NoSuchTree", message, { tree: this.#name });
    });
  }

  // `call` gets the handles of database and tree.
  async #run(call, read) {
    this.#connection.scope.check();
    const tree = await this.#found();
    return this.#connection.run(() => call(this.#connection.scope.id, tree), read);
  }

  async #get(key, read) {
    const own = checkedKey(key, "key");
    return this.#run((id, tree) => wasm.spinney_get(id, tree, writeKey(own, "key")), (length) =>
      length === ABSENT ? undefined : read(length, own));
  }

  get(key) {
    return this.#get(key, readValue);
  }

  getText(key) {
    return this.#get(key, readText);
  }

  getEntry(key) {
    return this.#get(key, (length, own) => {
      const version = readVersion();
      return new Entry(own, version, false, readValue(length), 0, length);
    });
  }

  async contains(key) {
    const own = checkedKey(key, "key");
    return this.#run((id, tree) => wasm.spinney_contains(id, tree, writeKey(own, "key")), (is) => is === 1);
  }

  async getMany(keys) {
    if (typeof keys?.[Symbol.iterator] !== "function" || typeof keys === "string" || isBytes(keys)) {
      throw invalid("keys", "an array of strings and Uint8Arrays");
    }
    const list = Array.from(keys, (key, i) => checkedKey(key, `keys[${i}]`));
    const values = [];
    while (values.length < list.length) {
      const next = list.slice(values.length, values.length + BATCHES_AT_ONCE * BATCH_KEYS);
      const batches = Array.from({ length: Math.ceil(next.length / BATCH_KEYS) }, (_, i) =>
        this.#getBatch(next.slice(i * BATCH_KEYS, (i + 1) * BATCH_KEYS)));
      for (const batch of await Promise.all(batches)) values.push(...batch);
    }
    return values;
  }

  #getBatch(keys) {
    const find = (id, tree) => wasm.spinney_get_many(id, tree, keys.length, writeKeys(keys));
    return this.#run(find, (rows) => {
      const { numbers, arena } = readPage(rows);
      let end = 0;
      return Array.from({ length: rows }, (_, i) => {
        const length = numbers[i * 3 + 1];
        if (length < 0) return undefined;
        return arena ? arena.subarray(end, (end += length)) : new Uint8Array(0);
      });
    });
  }

  async count(prefix = "") {
    const own = checkedKey(prefix, "prefix");
    return this.#run((id, tree) => wasm.spinney_count(id, tree, writeKey(own, "prefix")), (count) => count);
  }

  async longestPrefix(path) {
    const own = checkedKey(path, "path");
    const find = (id, tree) => wasm.spinney_longest_prefix(id, tree, writeKey(own, "path"));
    return this.#run(find, (rows) => readEntries(rows)[0]);
  }

  list(prefix = "", options = undefined) {
    const wanted = readOptions(options, LIST);
    return new RemoteEntries(this.#pages(checkedKey(prefix, "prefix"), wanted, SCAN_AHEAD_MAX));
  }

  scan(prefix = "", options = undefined) {
    const wanted = readOptions(options);
    return new RemoteEntries(this.#pages(checkedKey(prefix, "prefix"), wanted, SCAN_AHEAD));
  }

  async first(prefix = "") {
    return (await this.scan(prefix, { limit: 1 }).toArray())[0];
  }

  async last(prefix = "") {
    return (await this.scan(prefix, { limit: 1, reverse: true }).toArray())[0];
  }

  // Each page goes on behind the last key of the one before it.
  async *#pages(prefix, { bits, limit, startAfter, delimiter }, ahead) {
    let after = keep(startAfter);
    for (let left = limit; left > 0; ahead = Math.min(4 * ahead, SCAN_AHEAD_MAX)) {
      const wanted = after === undefined ? bits : bits | START_AFTER;
      const draw = (id, tree) => {
        const prefixBytes = writeKey(prefix, "prefix");
        const afterBytes = after === undefined ? 0 : writeSecondKey(after, "startAfter");
        return wasm.spinney_scan_remote(id, tree, prefixBytes, afterBytes, wanted, left, delimiter, ahead);
      };
      const { page, hasMore } = await this.#run(draw, (rows) => {
        const hasMore = readCursor() !== 0;
        return { page: readEntries(rows), hasMore };
      });
      if (page.length > 0) yield page;
      if (!hasMore) return;
      left -= page.length;
      after = keep(page.at(-1).key);
    }
  }
}

/** Entries that are fetched page by page. */
export class RemoteEntries {
  #pages;
  #page = [];
  #at = 0;
  // Calls that do not wait for each other are answered in their order.
  #last = Promise.resolve();

  constructor(pages) {
    this.#pages = pages;
  }

  #inTurn(turn) {
    const answer = this.#last.then(turn, turn);
    this.#last = answer.catch(() => {});
    return answer;
  }

  next() {
    return this.#inTurn(() => this.#next());
  }

  async #next() {
    while (this.#at === this.#page.length) {
      const { value, done } = await this.#pages.next();
      if (done) return { value: undefined, done: true };
      [this.#page, this.#at] = [value, 0];
    }
    return { value: this.#page[this.#at++], done: false };
  }

  return(value) {
    return this.#inTurn(async () => {
      await this.#pages.return();
      [this.#page, this.#at] = [[], 0];
      return { value, done: true };
    });
  }

  /** Page by page: the next one is fetched when it is asked for. */
  async *pages() {
    await this.#last;
    const left = this.#page.slice(this.#at);
    this.#at = this.#page.length;
    if (left.length > 0) yield left;
    yield* this.#pages;
  }

  toArray() {
    return this.#inTurn(() => this.#toArray());
  }

  async #toArray() {
    const all = this.#page.slice(this.#at);
    this.#at = this.#page.length;
    for await (const page of this.#pages) {
      for (const entry of page) all.push(entry);
    }
    return all;
  }

  [Symbol.asyncIterator]() {
    return this;
  }
}

/** A database that is read over HTTP; itself its tree called "default". */
export class RemoteSpinney extends RemoteTree {
  #connection;

  constructor(connection) {
    super(connection, "default", DEFAULT_HANDLE);
    this.#connection = connection;
  }

  tree(name) {
    this.#connection.scope.check();
    if (typeof name !== "string") throw invalid("name", "a string");
    return new RemoteTree(this.#connection, name);
  }

  async trees() {
    return this.#connection.run(() => wasm.spinney_trees(this.#connection.scope.id), readNames);
  }

  stats() {
    return this.#connection.stats();
  }

  close() {
    this.#connection.close();
  }
}

if (Symbol.asyncDispose) {
  const value = async function () {
    this.close();
  };
  Object.defineProperty(RemoteSpinney.prototype, Symbol.asyncDispose, { value, writable: true, configurable: true });
}

/** Opens what lies at an address. */
export async function openUrl(url, options = {}) {
  if (typeof url !== "string" && !(url instanceof URL)) throw invalid("url", "a string or a URL");
  if (typeof options !== "object" || options === null) throw invalid("options", "an object");
  const { cacheBytes = CACHE_BYTES, fetch = globalThis.fetch, headers, credentials, signal } = options;
  if (typeof cacheBytes !== "number" || !(cacheBytes >= 0)) throw invalid("cacheBytes", "a number, 0 or above");
  if (typeof fetch !== "function") throw invalid("fetch", "a function");
  const ask = (input, init) => fetch(input, init);
  const source = new Source(String(url), { fetch: ask, headers, credentials, signal });
  const connection = new Connection(source, Math.max(cacheBytes, BLOB_BYTES));
  try {
    await connection.open();
  } catch (error) {
    connection.close();
    throw error;
  }
  return new RemoteSpinney(connection);
}

function checkedKey(key, argument) {
  if (typeof key !== "string" && !isBytes(key)) throw invalid(argument, "a string or a Uint8Array");
  return keep(key);
}
