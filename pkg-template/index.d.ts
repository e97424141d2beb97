/// <reference lib="esnext.disposable" />

/**
 * An embedded store for keys that are paths.
 *
 * ```js
 * import { init, Spinney } from "spinney";
 *
 * await init();
 * const db = Spinney.memory();
 * db.put("photos/2026/a.jpg", "sea");
 * for (const entry of db.list("photos/")) console.log(entry.key); // photos/2026/
 * ```
 *
 * @packageDocumentation
 */

/** A key: a string, which is stored as UTF-8, or any bytes. At most 65,000 bytes. */
export type Key = string | Uint8Array;

/** A value, of at most 64 MiB. A string is stored as UTF-8; `getText` and `Entry.text` give it back. */
export type Value = string | Uint8Array;

/** The number of a write: 1, 2, 3 ... for the life of the database. */
export type Version = number;

/** Bytes that are handed out; a `Uint8Array`. */
export type Bytes = ReturnType<Uint8ArrayConstructor["of"]>;

// What the environment has under this name, if it has it: a project without the types of a browser compiles.
type Global<Name extends string> = typeof globalThis extends { [K in Name]: { prototype: infer T } } ? T : never;

/** A compiled module: `WebAssembly.Module`. */
export type WasmModule = typeof globalThis extends { WebAssembly: { Module: { prototype: infer T } } } ? T : never;

/** What the wasm module can be loaded from: its address, a response to a request for it, or its bytes. */
export type WasmSource =
  | string
  | Global<"URL">
  | Global<"Request">
  | Global<"Response">
  | ArrayBuffer
  | ArrayBufferView
  | WasmModule
  | Promise<Global<"Response"> | ArrayBuffer | ArrayBufferView | WasmModule>;

/**
 * Loads the wasm module. Await it once before the first database; further calls return the same promise.
 *
 * In a browser it fetches `spinney.wasm`, from beside the JavaScript or from where you say. In Node.js there
 * is nothing left to do.
 */
export function init(source?: WasmSource): Promise<void>;

/** Loads the wasm module at once. Browsers may refuse to compile large modules so outside of workers. */
export function initSync(module: ArrayBuffer | ArrayBufferView | WasmModule): void;

/** What can be asked of a tree, be it as it is or as it was. */
declare class Reader {
  protected constructor();

  /** The value of a key, as an array of its own; `undefined` if the key is not there. */
  get(key: Key): Bytes | undefined;

  /** The value of a key, read as UTF-8. */
  getText(key: Key): string | undefined;

  /** The value of a key with its version. */
  getEntry(key: Key): Entry<Key> | undefined;

  /**
   * Copies the value of a key into `target`, and returns how long it is: the fastest way to read many values.
   * A value that is longer than `target` is not copied.
   *
   * ```js
   * const buffer = new Uint8Array(4096);
   * const length = db.getInto("photos/a.jpg", buffer);
   * if (length !== undefined) use(buffer.subarray(0, length));
   * ```
   */
  getInto(key: Key, target: Uint8Array): number | undefined;

  /** The values of many keys, in their order, in one go. They are views of one buffer. */
  getMany(keys: Iterable<Key>): (Bytes | undefined)[];

  /** Whether a key is there. */
  contains(key: Key): boolean;

  /** How many keys begin with `prefix`: all of them, if it is left out. */
  count(prefix?: Key): number;

  /**
   * The children of a directory, in order: its keys, and each directory below it once, whatever it holds.
   *
   * ```js
   * for (const entry of db.list("photos/", { limit: 100 })) {
   *   console.log(entry.isPrefix ? "directory" : "file", entry.key);
   * }
   * ```
   */
  list(prefix: Key | undefined, options: ListOptions & { keys: "bytes" }): Entries<Bytes>;
  list(prefix?: Key, options?: ListOptions & { keys?: "text" }): Entries<string>;
  list(prefix?: Key, options?: ListOptions): Entries<Key>;

  /** All keys that begin with `prefix`, in order of their bytes. */
  scan(prefix: Key | undefined, options: ScanOptions & { keys: "bytes" }): Entries<Bytes>;
  scan(prefix?: Key, options?: ScanOptions & { keys?: "text" }): Entries<string>;
  scan(prefix?: Key, options?: ScanOptions): Entries<Key>;

  /** The longest key that `path` begins with: the mount point, the nearest ancestor. */
  longestPrefix(path: Key): Entry<Key> | undefined;
}

/** An ordered map from keys to values, by a name in its database. */
export class Tree extends Reader {
  /** Another handle to the same tree, whose writes are acknowledged otherwise. In memory it changes nothing. */
  withDurability(durability: Durability): Tree;

  /** Sets the value of a key. Returns the version that it got. */
  put(key: Key, value: Value): Version;

  /** Sets the value of a key that is not there; `undefined` if it is. */
  putIfAbsent(key: Key, value: Value): Version | undefined;

  /**
   * Sets the value of a key that still has the version that was read; `undefined` if it has another.
   *
   * ```js
   * const { text, version } = db.getEntry("counter");
   * db.compareAndPut("counter", version, String(Number(text) + 1));
   * ```
   */
  compareAndPut(key: Key, expected: Version, value: Value): Version | undefined;

  /** Removes a key. False if it was not there. */
  remove(key: Key): boolean;

  /** Removes a key that still has this version. */
  removeIf(key: Key, expected: Version): boolean;

  /** Gives a key another name. False if it is not there. @throws `TargetExists` */
  rename(from: Key, to: Key): boolean;

  /**
   * Moves a directory: every key that begins with `from` begins with `to` afterwards. It takes about as long
   * for a million keys as for a thousand. False if there is no such key.
   *
   * @throws `TargetExists` if a key begins with `to`, `RenameIntoItself` if `to` begins with `from`
   */
  renamePrefix(from: Key, to: Key): boolean;

  /** Removes a directory: every key that begins with `prefix`. False if there is none. */
  removePrefix(prefix: Key): boolean;

  /** Gives the handle back; what is in the tree stays. Calling it again does nothing. */
  close(): void;

  /** The same, for `using`. */
  [Symbol.dispose](): void;
}

/**
 * A database. It is itself its tree called `"default"`, which the first write makes; others come from `tree`.
 *
 * All calls are synchronous. What is never closed is given back some time after it was collected; `close`
 * gives it back at once.
 */
export class Spinney extends Tree {
  /** An empty database in memory. @throws `NotInitialized` before `await init()` */
  static memory(): Spinney;

  /**
   * Opens a copy of an image: what `image` returned, or the bytes of a database file. Every checksum is
   * verified first.
   *
   * ```js
   * const response = await fetch("catalog.spinney");
   * const db = Spinney.fromImage(new Uint8Array(await response.arrayBuffer()));
   * ```
   *
   * @throws `NotSpinney`, `NewerFormat`, `Truncated`, `Corrupt`, `OutOfMemory`
   */
  static fromImage(image: Uint8Array): Spinney;

  /**
   * Opens the database of this name in the site's own files (OPFS), or makes one. For dedicated workers: for
   * the main thread there is `openWorker`. What `sync` or a write with `"sync"` has returned for survives
   * whatever happens to tab, browser and machine.
   *
   * ```js
   * await init();
   * const db = await Spinney.openOpfs("catalog");
   * db.put("photos/a.jpg", "sea"); // on the disk when it returns
   * await db.close();
   * ```
   *
   * @throws `Locked` if it is open elsewhere, `NotSupported` outside of dedicated workers, `QuotaExceeded`,
   * `NotFound` with `create: false`, and what `fromImage` throws
   */
  static openOpfs(name: string, options?: OpfsOptions): Promise<DurableSpinney>;

  /**
   * Makes a database in the site's files of the bytes of a database file. In dedicated workers.
   *
   * @throws `TargetExists` if there is one of this name, `Locked`, `QuotaExceeded`, and what `fromImage` throws
   */
  static importOpfs(
    name: string,
    source: Uint8Array | ArrayBuffer | Global<"Blob"> | Global<"ReadableStream">,
  ): Promise<void>;

  /** Deletes a database of the site's files. False if there is none. @throws `Locked` if it is open */
  static deleteOpfs(name: string): Promise<boolean>;

  /** The names of the databases in the site's files, in order. */
  static listOpfs(): Promise<string[]>;

  /**
   * Opens a database of the site's files in a worker, for the main thread: the same calls, as promises. The
   * package brings the worker; `init` is not needed for it.
   *
   * ```js
   * const db = await Spinney.openWorker("catalog");
   * await Promise.all(paths.map((path) => db.put(path, "..."))); // share their waits for the disk
   * for await (const entry of db.list("photos/")) console.log(entry.key);
   * ```
   *
   * @throws what `openOpfs` throws, and `WorkerDied`
   */
  static openWorker(name: string, options?: WorkerOptions): Promise<SpinneyClient>;

  /**
   * Opens a database file that lies on a web server, to read it there: only the pages that a call touches are
   * fetched, and verified. What a server needs for that is in the README.
   *
   * ```js
   * const db = await Spinney.openUrl("https://example.org/catalog.spinney");
   * for await (const { key, isPrefix } of db.tree("files").list("photos/")) console.log(key, isPrefix);
   * ```
   *
   * @throws `NotFound`, `Forbidden`, `ServerError`, `Network`, `BadResponse`, `RangeNotSupported`,
   * `ContentEncoding`, `Cancelled`; `NotSpinney`, `NewerFormat`, `Truncated`, `Corrupt`; `SideFile` for a file
   * that was not closed before it was copied
   */
  static openUrl(url: string | Global<"URL">, options?: RemoteOptions): Promise<RemoteSpinney>;

  /** The whole database: the bytes of a database file, the same on every platform. */
  image(): Bytes;

  /** The tree of this name, made if it does not exist. Trees are cheap. */
  tree(name: string): Tree;

  /** The names of all trees, in order. */
  trees(): string[];

  /**
   * Removes a tree with all its keys. False if there is none of this name. What is written through handles of it
   * from then on, nobody finds: get a new one by its name.
   */
  dropTree(name: string): boolean;

  /** Gives a tree another name; its handles go on. False if there is none. @throws `TargetExists` */
  renameTree(from: string, to: string): boolean;

  /** Several writes as one: fill it, then commit it. */
  batch(): Batch;

  /**
   * Runs a synchronous function that reads and writes as if nobody else did. What it writes is applied as one
   * when it has returned, and nothing if it throws. If others have changed what it has read it is run again,
   * so it should do nothing else that cannot be done twice.
   *
   * ```js
   * const left = db.transact((tx) => {
   *   const apples = Number(tx.getText(stock, "apples"));
   *   if (apples === 0) tx.abort();
   *   tx.put(stock, "apples", String(apples - 1));
   *   return apples - 1;
   * });
   * ```
   *
   * @throws `Conflict`, `Aborted`, `BatchTooLarge`, and whatever the function throws
   */
  transact<T>(run: (tx: Transaction) => T extends PromiseLike<unknown> ? never : T): T;

  /**
   * All trees as they are now, to read while others write. It copies nothing at first; what is overwritten
   * afterwards is kept for it, up to 256 MiB, in files up to a quarter of `cacheBytes`, and then its calls throw
   * `SnapshotTooOld`.
   */
  snapshot(): Snapshot;

  /** How large the database is, and what it did so far. */
  stats(): Stats;

  /** Looks at every node. */
  check(): CheckReport;

  /**
   * Closes the database and gives its memory back. From then on every call of it, and of all that came from
   * it, throws `Closed`. Calling it again does nothing.
   */
  close(): void;
}

/**
 * When a write is acknowledged: with `"sync"` when it is on the disk, with `"buffered"` when it is in memory. Then
 * it is on the disk some 10 ms after the worker has nothing else to do, or after `sync`, and never before an
 * earlier one.
 */
export type Durability = "sync" | "buffered";

/** What `Spinney.openOpfs` takes. */
export interface OpfsOptions {
  /** For all writes that say nothing else: `"sync"`, if it is left out. */
  durability?: Durability | undefined;
  /**
   * How many bytes of the database are kept ready to be read: 256 MiB, if it is left out. What is beyond is read
   * from the file again. The memory of a blob of 512 KiB that was touched is given back when the database is
   * closed, not before. Half as much may have changed, but from 8 to 32 MiB, before a write has to wait until all
   * of it is stored; at half of that it happens between two calls.
   */
  cacheBytes?: number | undefined;
  /** How long the log may become: 64 MiB, if it is left out; from 8 MiB to 1 GiB. */
  logBytes?: number | undefined;
  /** Whether a database is made where there is none: yes, if it is left out. */
  create?: boolean | undefined;
  /** Nothing is written, not even to recover: for when there is no space. */
  readOnly?: boolean | undefined;
  /** How long to wait for another tab to close the database: not at all, if it is left out. */
  waitMs?: number | undefined;
}

/** What `Spinney.openWorker` takes. */
export interface WorkerOptions extends OpfsOptions {
  /** A worker of your own that has imported `spinney/worker`, instead of one that the package starts. */
  worker?: Global<"Worker"> | undefined;
  /** Where the worker finds the wasm: what `init` takes, but a `Response` or a promise. */
  source?: string | ArrayBuffer | ArrayBufferView | WasmModule | undefined;
}

/** A database in files of the site: what `Spinney.openOpfs` gives. */
export interface DurableSpinney extends Spinney {
  /** Returns when everything written so far is on the disk. */
  sync(): void;

  /**
   * Brings everything into the one file, so that the next opening has nothing to recover. It happens by itself
   * when there is much, or when nothing was written for a second.
   */
  checkpoint(): void;

  /**
   * Stores everything and closes the database. When the promise is settled, all of it is in one file, with two empty
   * ones beside it, and others may open it.
   */
  close(): Promise<void>;

  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A tree of a database in a worker: the calls of `Tree`, as promises. Calls do not wait for each other, and are
 * run in the order in which they were made.
 */
export class TreeClient {
  protected constructor();

  withDurability(durability: Durability): TreeClient;
  get(key: Key): Promise<Bytes | undefined>;
  getText(key: Key): Promise<string | undefined>;
  getEntry(key: Key): Promise<Entry<Key> | undefined>;
  getMany(keys: Iterable<Key>): Promise<(Bytes | undefined)[]>;
  contains(key: Key): Promise<boolean>;
  count(prefix?: Key): Promise<number>;
  longestPrefix(path: Key): Promise<Entry<Key> | undefined>;
  put(key: Key, value: Value): Promise<Version>;
  putIfAbsent(key: Key, value: Value): Promise<Version | undefined>;
  compareAndPut(key: Key, expected: Version, value: Value): Promise<Version | undefined>;
  remove(key: Key): Promise<boolean>;
  removeIf(key: Key, expected: Version): Promise<boolean>;
  rename(from: Key, to: Key): Promise<boolean>;
  renamePrefix(from: Key, to: Key): Promise<boolean>;
  removePrefix(prefix: Key): Promise<boolean>;

  /** Entries, a page for each message. What is written meanwhile does not disturb them. */
  list(prefix: Key | undefined, options: ListOptions & { keys: "bytes" }): AsyncGenerator<Entry<Bytes>, void>;
  list(prefix?: Key, options?: ListOptions & { keys?: "text" }): AsyncGenerator<Entry<string>, void>;
  list(prefix?: Key, options?: ListOptions): AsyncGenerator<Entry<Key>, void>;
  scan(prefix: Key | undefined, options: ScanOptions & { keys: "bytes" }): AsyncGenerator<Entry<Bytes>, void>;
  scan(prefix?: Key, options?: ScanOptions & { keys?: "text" }): AsyncGenerator<Entry<string>, void>;
  scan(prefix?: Key, options?: ScanOptions): AsyncGenerator<Entry<Key>, void>;
}

/** A database in a worker: what `Spinney.openWorker` gives; itself its tree called `"default"`. */
export class SpinneyClient extends TreeClient {
  /** The tree of this name. It is made when it is first used. */
  tree(name: string): TreeClient;
  trees(): Promise<string[]>;
  dropTree(name: string): Promise<boolean>;
  /** Trees are found by name here: handles of the old name are of another tree then. @throws `TargetExists` */
  renameTree(from: string, to: string): Promise<boolean>;
  batch(): BatchClient;
  stats(): Promise<Stats>;
  check(): Promise<CheckReport>;
  image(): Promise<Bytes>;
  sync(): Promise<void>;
  checkpoint(): Promise<void>;

  /** Closes the database, and ends the worker that the package has started for it. */
  close(): Promise<void>;

  /** The same, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** Several writes and conditions of a database in a worker: see `Batch`. */
export class BatchClient {
  private constructor();

  readonly length: number;
  durability(durability: Durability): this;
  put(tree: TreeClient, key: Key, value: Value): this;
  putIfAbsent(tree: TreeClient, key: Key, value: Value): this;
  compareAndPut(tree: TreeClient, key: Key, expected: Version, value: Value): this;
  remove(tree: TreeClient, key: Key): this;
  removeIf(tree: TreeClient, key: Key, expected: Version): this;
  rename(tree: TreeClient, from: Key, to: Key): this;
  expectVersion(tree: TreeClient, key: Key, expected: Version): this;
  expectAbsent(tree: TreeClient, key: Key): this;
  expectPresent(tree: TreeClient, key: Key): this;
  expectEmpty(tree: TreeClient, prefix: Key): this;
  commit(): Promise<(Version | undefined)[]>;
}

/** All trees as they were when `Spinney.snapshot` was called; itself the one called `"default"`. */
export class Snapshot extends Reader {
  /** The last write that is in it. */
  readonly version: Version;

  /** The tree of this name as it was; an empty one if there was none. */
  tree(name: string): SnapshotTree;

  /** The names that there were. */
  trees(): string[];

  /** Gives back what it keeps. Its trees and iterators end with it. Calling it again does nothing. */
  close(): void;

  /** The same, for `using`. */
  [Symbol.dispose](): void;
}

/** A tree as it was. */
export class SnapshotTree extends Reader {}

/** A key with its value and version, or a directory of a list. */
export class Entry<K extends Key = Key> {
  private constructor();

  /**
   * The whole key, or the directory with the delimiter at its end. A string, unless bytes were asked for.
   *
   * Mind that a key that is no UTF-8 comes as bytes in any case: where somebody may have put such keys, ask
   * for bytes.
   */
  readonly key: K;

  /**
   * The value; `undefined` for a directory, and where values were not asked for. A view of a shared buffer,
   * made when it is asked for: copying an entry by `{ ...entry }` leaves it out.
   */
  get value(): Bytes | undefined;

  /** The value, read as UTF-8. */
  get text(): string | undefined;

  /** The write that the value comes from; 0 if it is the transaction's own; `undefined` for a directory. */
  readonly version: Version | undefined;

  /** Whether this is a directory. */
  readonly isPrefix: boolean;
}

/**
 * Entries in order. They are read page by page: a loop that is left early has not read far ahead, and writes
 * beside it do not disturb it. A key that is there all the time comes exactly once.
 */
export class Entries<K extends Key = Key> implements IterableIterator<Entry<K>> {
  private constructor();

  next(): IteratorResult<Entry<K>, undefined>;
  return(value?: unknown): IteratorResult<Entry<K>, undefined>;
  [Symbol.iterator](): this;

  /** All entries that are left: the fastest way to have them in an array. */
  toArray(): Entry<K>[];

  /** Gives back what it holds. A loop does so by itself. */
  close(): void;

  /** The same, for `using`. */
  [Symbol.dispose](): void;
}

/** What `scan` takes. */
export interface ScanOptions {
  /** Go on behind this key, in the order of the iteration. */
  startAfter?: Key | undefined;
  /** So many entries at most. */
  limit?: number | undefined;
  /** From the last to the first. */
  reverse?: boolean | undefined;
  /** False leaves the values out. */
  values?: boolean | undefined;
  /** `"bytes"` gives keys as `Uint8Array`. */
  keys?: "text" | "bytes" | undefined;
}

/** What `list` takes. */
export interface ListOptions extends ScanOptions {
  /** Another ASCII character than `/` between directories. */
  delimiter?: string | undefined;
}

/** How to open a database over HTTP. */
export interface RemoteOptions {
  /**
   * How much memory blobs may take: 64 MiB, unless you say otherwise. Each blob of which anything was read takes
   * 512 KiB; when they have more than this, the next call begins anew.
   */
  cacheBytes?: number | undefined;
  /** Headers of every request. Mind that most of them make a browser ask the server first (CORS). */
  headers?: Record<string, string> | [string, string][] | Global<"Headers"> | undefined;
  /** As of `fetch`: whether cookies go along. */
  credentials?: "omit" | "same-origin" | "include" | undefined;
  /** What to use in the place of `fetch`. */
  fetch?: ((url: string, init: any) => Promise<any>) | undefined;
  /** Ends all fetching, for good: calls that need pages throw `Cancelled`. */
  signal?: Global<"AbortSignal"> | undefined;
}

/** What reading over HTTP has cost. */
export interface RemoteStats {
  /** Requests, those that were tried again included. */
  requests: number;
  /** How often something had to be waited for; requests that ran at the same time count as one. */
  roundTrips: number;
  /** Bytes of all answers, without headers. */
  bytesFetched: number;
  /** Pages of 4 KiB that were fetched. */
  pagesFetched: number;
  /** Pages in memory; those that are zero throughout are not fetched. */
  pagesCached: number;
  /** The length of the file. */
  sizeBytes: number;
  /** The tag of the version that is read, if the server tells it. */
  etag: string | undefined;
}

/**
 * A tree that is read over HTTP: the calls of a {@link Tree}, asynchronous.
 *
 * A call throws `Changed` if the file was replaced since it was opened, and what {@link Spinney.openUrl} throws.
 * The tree is looked for by the first call, which throws `NoSuchTree` if there is none of its name.
 */
export class RemoteTree {
  protected constructor();

  /** The value of a key, as an array of its own; `undefined` if the key is not there. */
  get(key: Key): Promise<Bytes | undefined>;

  /** The value of a key, read as UTF-8. */
  getText(key: Key): Promise<string | undefined>;

  /** The value of a key with its version. */
  getEntry(key: Key): Promise<Entry<Key> | undefined>;

  /** The values of many keys, in their order; what is missing of all of them is fetched together. */
  getMany(keys: Iterable<Key>): Promise<(Bytes | undefined)[]>;

  /** Whether a key is there. */
  contains(key: Key): Promise<boolean>;

  /** How many keys begin with a prefix. Where they fill many blobs, this takes a small request for each. */
  count(prefix?: Key): Promise<number>;

  /** The keys in a directory, and each directory in it once. */
  list(prefix: Key | undefined, options: ListOptions & { keys: "bytes" }): RemoteEntries<Bytes>;
  list(prefix?: Key, options?: ListOptions & { keys?: "text" }): RemoteEntries<string>;
  list(prefix?: Key, options?: ListOptions): RemoteEntries<Key>;

  /** The keys that begin with a prefix. */
  scan(prefix: Key | undefined, options: ScanOptions & { keys: "bytes" }): RemoteEntries<Bytes>;
  scan(prefix?: Key, options?: ScanOptions & { keys?: "text" }): RemoteEntries<string>;
  scan(prefix?: Key, options?: ScanOptions): RemoteEntries<Key>;

  /** The first key that begins with a prefix. */
  first(prefix?: Key): Promise<Entry<string> | undefined>;

  /** The last one. */
  last(prefix?: Key): Promise<Entry<string> | undefined>;

  /** The longest key that a path begins with. */
  longestPrefix(path: Key): Promise<Entry<Key> | undefined>;
}

/** A database that is read over HTTP; itself its tree called `"default"`. */
export class RemoteSpinney extends RemoteTree {
  /** A tree. Whether there is one is found out by its first call. */
  tree(name: string): RemoteTree;

  /** The names of all trees, in order. */
  trees(): Promise<string[]>;

  /** What it has cost so far. */
  stats(): RemoteStats;

  /** Gives everything back and ends what is under way. Calls throw `Closed` from then on. */
  close(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Entries that are fetched as they are asked for. A loop that is left early fetches nothing more. */
export class RemoteEntries<K extends Key = Key> implements AsyncIterableIterator<Entry<K>> {
  private constructor();

  next(): Promise<IteratorResult<Entry<K>, undefined>>;
  return(value?: unknown): Promise<IteratorResult<Entry<K>, undefined>>;
  [Symbol.asyncIterator](): this;

  /** All entries that are left. */
  toArray(): Promise<Entry<K>[]>;

  /** The same, an array at a time. */
  pages(): AsyncIterableIterator<Entry<K>[]>;
}

/**
 * Several writes and conditions, in any trees of one database, applied all together or not at all.
 *
 * ```js
 * db.batch().expectAbsent(files, "new").put(files, "new", "...").remove(files, "old").commit();
 * ```
 */
export class Batch {
  private constructor();

  /** How many steps it has. */
  readonly length: number;

  /** How this batch is acknowledged, if otherwise than the database says. */
  durability(durability: Durability): this;

  put(tree: Tree, key: Key, value: Value): this;
  putIfAbsent(tree: Tree, key: Key, value: Value): this;
  compareAndPut(tree: Tree, key: Key, expected: Version, value: Value): this;
  remove(tree: Tree, key: Key): this;
  removeIf(tree: Tree, key: Key, expected: Version): this;
  rename(tree: Tree, from: Key, to: Key): this;
  /** The batch is refused unless the key has this version. */
  expectVersion(tree: Tree, key: Key, expected: Version): this;
  /** The batch is refused if the key is there. */
  expectAbsent(tree: Tree, key: Key): this;
  /** The batch is refused unless the key is there. */
  expectPresent(tree: Tree, key: Key): this;
  /** The batch is refused if a key begins with `prefix`. */
  expectEmpty(tree: Tree, prefix: Key): this;

  /**
   * Applies all steps as one. Returns for each the version that it has written, if it has. The batch is empty
   * afterwards; after an error it is as it was, and nothing was applied, unless the error is `OutcomeUnknown`, or
   * `WorkerDied` of a database in a worker: then it may have been.
   *
   * @throws `BatchRefused`, with the `index` of the step; `BatchTooLarge`; in files `OutcomeUnknown`
   */
  commit(): (Version | undefined)[];

  /** Gives back what it holds. */
  close(): void;

  /** The same, for `using`. */
  [Symbol.dispose](): void;
}

/** Reads and writes of one run of `Spinney.transact`; no use after it. */
export class Transaction {
  private constructor();

  get(tree: Tree, key: Key): Bytes | undefined;
  getText(tree: Tree, key: Key): string | undefined;
  contains(tree: Tree, key: Key): boolean;
  put(tree: Tree, key: Key, value: Value): void;
  remove(tree: Tree, key: Key): void;
  /** Gives a key another name. False if it is not there. @throws `TargetExists` */
  rename(tree: Tree, from: Key, to: Key): boolean;

  list(tree: Tree, prefix?: Key, options?: Omit<ListOptions, "reverse">): Entries<Key>;
  scan(tree: Tree, prefix?: Key, options?: Omit<ScanOptions, "reverse">): Entries<Key>;

  /** Ends the transaction with the error `Aborted`. Throwing anything else does so with that. */
  abort(): never;
}

/** What `Spinney.stats` returns: sizes now, and counts since the database was opened. */
export interface Stats {
  /** Keys in all trees. */
  keys: number;
  /** Blobs of 512 KiB in use. */
  blobs: number;
  rangeBlobs: number;
  routerBlobs: number;
  totalBlobs: number;
  /** Blobs that a lookup passes before the one with the key. */
  hops: number;
  /** Bytes of an image. */
  sizeBytes: number;
  liveBytes: number;
  garbageBytes: number;
  /** The part of the blobs that is in use, 0 to 1. */
  fill: number;
  /** The last write. */
  lastVersion: Version;
  splits: number;
  ascendingCuts: number;
  shares: number;
  joins: number;
  grafts: number;
  compactions: number;
  routerSplits: number;
  restarts: number;
  openSnapshots: number;
  /** What snapshots keep. */
  keptBytes: number;
  /** How much of the log is not on the disk yet; 0 in memory. */
  unsyncedBytes: number;
  /** How often everything was brought into the data file. */
  checkpoints: number;
}

/** What `Spinney.check` has found. */
export interface CheckReport {
  isClean: boolean;
  problems: { blob: number; text: string }[];
  keys: number;
  rangeBlobs: number;
  routerBlobs: number;
}

/** Why a call was refused. Codes are stable; those of the native library have the same names. */
export type SpinneyErrorCode =
  | "Aborted"
  | "BadResponse"
  | "BatchRefused"
  | "BatchTooLarge"
  | "Broken"
  | "CacheTooSmall"
  | "Cancelled"
  | "Changed"
  | "Closed"
  | "Conflict"
  | "ContentEncoding"
  | "Corrupt"
  | "Failed"
  | "Forbidden"
  | "InvalidArgument"
  | "Io"
  | "KeyTooLong"
  | "LoadFailed"
  | "Locked"
  | "LogCorrupt"
  | "Network"
  | "NewerFormat"
  | "NoSuchTree"
  | "NotFound"
  | "NotInitialized"
  | "NotSpinney"
  | "NotSupported"
  | "OtherDatabase"
  | "OutOfMemory"
  | "OutOfSpace"
  | "OutcomeUnknown"
  | "Poisoned"
  | "QuotaExceeded"
  | "RangeNotSupported"
  | "ReadOnly"
  | "RenameIntoItself"
  | "ServerError"
  | "SideFile"
  | "SnapshotTooOld"
  | "TargetExists"
  | "TooManyTrees"
  | "TransactionEnded"
  | "TreeName"
  | "Truncated"
  | "ValueTooLarge"
  | "WorkerDied"
  | (string & {});

/**
 * What every call throws. The message says what to do about it; `code` says which error it is.
 *
 * ```js
 * try {
 *   db.rename("a", "b");
 * } catch (error) {
 *   if (error instanceof SpinneyError && error.code === "TargetExists") ...
 * }
 * ```
 */
export class SpinneyError extends Error {
  private constructor();

  readonly name: "SpinneyError";
  readonly code: SpinneyErrorCode;

  /** Another error that led to this one. */
  readonly cause?: unknown;
  /** `InvalidArgument`: which one. */
  readonly argument?: string;
  /** `KeyTooLong`, `ValueTooLarge`, `TreeName`, `BatchTooLarge`: how long it was. */
  readonly lengthBytes?: number;
  /** And how long it may be. */
  readonly limitBytes?: number;
  /** What a server did: the address, and the status of its answer if there was one. */
  readonly url?: string;
  readonly status?: number;
  /** `Corrupt`: the damaged blob, and the page in it. */
  readonly blob?: number;
  readonly page?: number;
  /** `NoSuchTree`: its name. */
  readonly tree?: string;
  /** `Corrupt`, `NotSpinney`, `BatchRefused`: what was found. `Poisoned`, `OutcomeUnknown`: what had failed. */
  readonly reason?: string;
  /** `Truncated`. */
  readonly foundBytes?: number;
  readonly expectedBytes?: number;
  /** `NewerFormat`: the version of the image, and the latest that can be read. */
  readonly found?: number;
  readonly supported?: number;
  /** `BatchRefused`: the step, counted from 0. */
  readonly index?: number;
  /** `Conflict`: how often the transaction was run. */
  readonly tries?: number;
  /** `OutOfMemory`: how much was wanted. */
  readonly bytes?: number;
  /** `OutOfSpace`. */
  readonly limitBlobs?: number;
}

// Only what is exported above is there when the code runs.
export {};
