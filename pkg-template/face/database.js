// Databases and snapshots.

import { Batch } from "./batch.js";
import { SpinneyError } from "./errors.js";
import { readNames } from "./entries.js";
import { Keeper } from "./keeper.js";
import { SpinneyClient } from "./client.js";
import { deleteFiles, importFiles, listFiles, openFiles } from "./opfs.js";
import { giveBack, readText, readValue, settle, wasm, writeImage, writeName } from "./memory.js";
import { openUrl } from "./remote.js";
import { Scope, adopt } from "./scope.js";
import { Transaction } from "./transaction.js";
import { Reader, SCOPE, Tree, disposable } from "./tree.js";

const DEFAULT_TREE = "default";
// The handle of the default tree, whether it exists or not.
const DEFAULT_HANDLE = 0;

function ready() {
  // That of "spinney/remote" has no such function.
  if (wasm?.spinney_memory !== undefined) return;
  const message = "the wasm module is not there yet: call `await init()` once, before the first database";
  throw new SpinneyError("NotInitialized", message);
}

/** A database; itself its tree called "default". */
export class Spinney extends Tree {
  static memory() {
    ready();
    return new Spinney(new Scope(settle(wasm.spinney_memory())), DEFAULT_HANDLE);
  }

  static fromImage(image) {
    ready();
    const length = writeImage(image);
    const handle = wasm.spinney_from_image(length);
    let id;
    try {
      id = settle(handle);
    } finally {
      giveBack(length);
    }
    return new Spinney(new Scope(id), DEFAULT_HANDLE);
  }

  static async openOpfs(name, options = undefined) {
    ready();
    const { id, end } = await openFiles(name, options);
    return new DurableSpinney(new Scope(id), DEFAULT_HANDLE, end);
  }

  static async importOpfs(name, source) {
    ready();
    return importFiles(name, source);
  }

  static deleteOpfs(name) {
    return deleteFiles(name);
  }

  static listOpfs() {
    return listFiles();
  }

  static openWorker(name, options = undefined) {
    return SpinneyClient.open(name, options);
  }

  static async openUrl(url, options = undefined) {
    ready();
    return openUrl(url, options);
  }

  image() {
    this[SCOPE].check();
    return readValue(settle(wasm.spinney_image(this[SCOPE].id)));
  }

  tree(name) {
    const scope = this[SCOPE];
    scope.check();
    const tree = Tree.of(scope, settle(wasm.spinney_tree(scope.id, writeName(name))));
    // It may have been made.
    scope.wrote();
    return tree;
  }

  trees() {
    this[SCOPE].check();
    return readNames(settle(wasm.spinney_trees(this[SCOPE].id)));
  }

  dropTree(name) {
    this[SCOPE].check();
    const isDropped = settle(wasm.spinney_drop_tree(this[SCOPE].id, writeName(name))) === 1;
    this[SCOPE].wrote();
    return isDropped;
  }

  renameTree(from, to) {
    this[SCOPE].check();
    const fromBytes = writeName(from, "from");
    const isRenamed = settle(wasm.spinney_rename_tree(this[SCOPE].id, fromBytes, writeName(to, "to"))) === 1;
    this[SCOPE].wrote();
    return isRenamed;
  }

  batch() {
    return new Batch(this[SCOPE]);
  }

  transact(run) {
    return Transaction.run(this[SCOPE], run);
  }

  snapshot() {
    const scope = this[SCOPE];
    scope.check();
    const handle = settle(wasm.spinney_snapshot(scope.id));
    try {
      return new Snapshot(scope, handle, treeThen(scope, handle, DEFAULT_TREE));
    } catch (error) {
      wasm.spinney_free_snapshot(scope.id, handle);
      throw error;
    }
  }

  stats() {
    this[SCOPE].check();
    settle(wasm.spinney_stats(this[SCOPE].id));
    const { capacityBytes, ...stats } = JSON.parse(readText());
    return { ...stats, fill: capacityBytes === 0 ? 0 : stats.liveBytes / capacityBytes };
  }

  check() {
    this[SCOPE].check();
    settle(wasm.spinney_check(this[SCOPE].id));
    return JSON.parse(readText());
  }

  close() {
    this[SCOPE].close((id) => wasm.spinney_close(id));
  }
}

// What is open stays so until it is closed: nobody collects files that somebody relies on.
const held = new Set();

/** A database in files of the browser. */
class DurableSpinney extends Spinney {
  #end;
  #closing;

  constructor(scope, tree, end) {
    super(scope, tree);
    this.#end = end;
    scope.keeper = new Keeper(
      () => settle(wasm.spinney_attend(scope.id)) === 1,
      () => settle(wasm.spinney_checkpoint(scope.id)),
    );
    held.add(this);
  }

  sync() {
    this[SCOPE].check();
    settle(wasm.spinney_sync(this[SCOPE].id));
  }

  checkpoint() {
    this[SCOPE].check();
    settle(wasm.spinney_checkpoint(this[SCOPE].id));
  }

  /** Everything is stored when this returns; when its promise is settled, all is in one file. */
  close() {
    return (this.#closing ??= this.#finish());
  }

  async #finish() {
    const scope = this[SCOPE];
    let answer = 0;
    scope.keeper.stop();
    // Whatever happens, others get the name.
    try {
      scope.close((id) => (answer = wasm.spinney_end(id)));
      held.delete(this);
      settle(answer);
    } finally {
      await this.#end();
    }
  }
}

if (Symbol.asyncDispose) {
  const value = DurableSpinney.prototype.close;
  Object.defineProperty(DurableSpinney.prototype, Symbol.asyncDispose, { value, writable: true, configurable: true });
}

/** All trees as they were; itself the one called "default". */
export class Snapshot extends Reader {
  #handle;

  constructor(database, handle, tree) {
    const scope = new Scope(database.id, "snapshot", database);
    super(scope, tree);
    this.#handle = handle;
    adopt(this, scope, closeSnapshot, handle);
  }

  get version() {
    this[SCOPE].check();
    return settle(wasm.spinney_snapshot_version(this[SCOPE].id, this.#handle));
  }

  tree(name) {
    const scope = this[SCOPE];
    scope.check();
    const handle = treeThen(scope, this.#handle, name);
    const tree = new SnapshotTree(scope, handle, this);
    adopt(tree, scope, wasm.spinney_free_tree, handle);
    return tree;
  }

  trees() {
    this[SCOPE].check();
    return readNames(settle(wasm.spinney_snapshot_trees(this[SCOPE].id, this.#handle)));
  }

  close() {
    closeSnapshot(this[SCOPE].id, this.#handle, this[SCOPE]);
  }
}

/** A tree of a snapshot. */
export class SnapshotTree extends Reader {
  // The snapshot is not collected before its trees.
  #snapshot;

  constructor(scope, tree, snapshot) {
    super(scope, tree);
    this.#snapshot = snapshot;
  }
}

function treeThen(scope, snapshot, name) {
  return settle(wasm.spinney_snapshot_tree(scope.id, snapshot, writeName(name)));
}

function closeSnapshot(id, handle, scope) {
  scope.close(() => wasm.spinney_free_snapshot(id, handle));
}

disposable(Snapshot);
