// Trees: what reads one, and what writes it.

import { otherDatabase, invalid } from "./errors.js";
import { Entry, LIST, iterate, readEntries, readOptions } from "./entries.js";
import {
  ABSENT, giveBack, isBytes, keep, lengthOf, readInto, readPage, readText, readValue, readVersion, settle, wasm,
  writeKey, writeKeys, writeSecondKey, writeValue,
} from "./memory.js";
import { isBuffered } from "./opfs.js";
import { Scope, adopt, nowhere, release } from "./scope.js";

// The database or snapshot of a tree, and its handle there: for the classes of this folder alone.
export const SCOPE = Symbol("scope");
const TREE = Symbol("tree");

/** A tree to read: as it is, or as it was. */
export class Reader {
  constructor(scope, tree) {
    if (!(scope instanceof Scope)) {
      throw new TypeError("begin with Spinney.memory(), Spinney.fromImage(image) or Spinney.openOpfs(name)");
    }
    this[SCOPE] = scope;
    this[TREE] = tree;
  }

  #find(key) {
    const scope = this[SCOPE];
    if (scope.closed) scope.check();
    return settle(wasm.spinney_get(scope.id, this[TREE], writeKey(key, "key")));
  }

  get(key) {
    const length = this.#find(key);
    return length === ABSENT ? undefined : readValue(length);
  }

  getText(key) {
    const length = this.#find(key);
    return length === ABSENT ? undefined : readText(length);
  }

  getInto(key, target) {
    if (!isBytes(target)) throw invalid("target", "a Uint8Array");
    const length = this.#find(key);
    if (length === ABSENT) return undefined;
    readInto(target, length);
    giveBack(length);
    return length;
  }

  getEntry(key) {
    const own = keep(key);
    const length = this.#find(key);
    if (length === ABSENT) return undefined;
    const version = readVersion();
    return new Entry(own, version, false, readValue(length), 0, length);
  }

  getMany(keys) {
    this[SCOPE].check();
    if (typeof keys?.[Symbol.iterator] !== "function" || typeof keys === "string" || isBytes(keys)) {
      throw invalid("keys", "an array of strings and Uint8Arrays");
    }
    const list = Array.from(keys);
    // That may have run code of the caller's.
    this[SCOPE].check();
    const bytes = writeKeys(list);
    const rows = settle(wasm.spinney_get_many(this[SCOPE].id, this[TREE], list.length, bytes));
    const { numbers, arena } = readPage(rows);
    const values = new Array(rows);
    let end = 0;
    for (let i = 0; i < rows; i++) {
      const length = numbers[i * 3 + 1];
      if (length >= 0) values[i] = arena ? arena.subarray(end, (end += length)) : new Uint8Array(0);
      else values[i] = undefined;
    }
    giveBack(bytes + end);
    return values;
  }

  contains(key) {
    this[SCOPE].check();
    return settle(wasm.spinney_contains(this[SCOPE].id, this[TREE], writeKey(key, "key"))) === 1;
  }

  count(prefix = "") {
    this[SCOPE].check();
    return settle(wasm.spinney_count(this[SCOPE].id, this[TREE], writeKey(prefix, "prefix")));
  }

  list(prefix = "", options = undefined) {
    const wanted = readOptions(options, LIST);
    this[SCOPE].check();
    return iterate(this, this[SCOPE], this[TREE], prefix, wanted);
  }

  scan(prefix = "", options = undefined) {
    const wanted = readOptions(options);
    this[SCOPE].check();
    return iterate(this, this[SCOPE], this[TREE], prefix, wanted);
  }

  longestPrefix(path) {
    this[SCOPE].check();
    const rows = settle(wasm.spinney_longest_prefix(this[SCOPE].id, this[TREE], writeKey(path, "path")));
    return readEntries(rows)[0];
  }
}

/** A tree to read and to write. */
export class Tree extends Reader {
  /** A tree whose handle is given back when it is collected. */
  static of(scope, handle) {
    const tree = new Tree(scope, handle);
    adopt(tree, scope, wasm.spinney_free_tree, handle);
    return tree;
  }

  withDurability(durability) {
    const buffered = isBuffered(durability) ? 1 : 0;
    const scope = this[SCOPE];
    scope.check();
    const tree = Tree.of(scope, settle(wasm.spinney_with_durability(scope.id, this[TREE], buffered)));
    // The default tree may have been made.
    scope.wrote();
    return tree;
  }

  put(key, value) {
    const scope = this[SCOPE];
    if (scope.closed) scope.check();
    const keyBytes = writeKey(key, "key");
    const valueBytes = writeValue(value);
    const version = settle(wasm.spinney_put(scope.id, this[TREE], keyBytes, valueBytes));
    if (scope.keeper !== undefined) scope.keeper.wrote();
    giveBack(valueBytes);
    return version;
  }

  putIfAbsent(key, value) {
    this[SCOPE].check();
    const keyBytes = writeKey(key, "key");
    const valueBytes = writeValue(value);
    const version = settle(wasm.spinney_put_if_absent(this[SCOPE].id, this[TREE], keyBytes, valueBytes));
    this[SCOPE].wrote();
    giveBack(valueBytes);
    return version === ABSENT ? undefined : version;
  }

  compareAndPut(key, expected, value) {
    this[SCOPE].check();
    const before = checkedVersion(expected);
    const keyBytes = writeKey(key, "key");
    const valueBytes = writeValue(value);
    const { id } = this[SCOPE];
    const version = settle(wasm.spinney_compare_and_put(id, this[TREE], keyBytes, before, valueBytes));
    this[SCOPE].wrote();
    giveBack(valueBytes);
    return version === ABSENT ? undefined : version;
  }

  #remove(key, version) {
    this[SCOPE].check();
    const { id } = this[SCOPE];
    const isRemoved = settle(wasm.spinney_remove(id, this[TREE], writeKey(key, "key"), version)) !== ABSENT;
    this[SCOPE].wrote();
    return isRemoved;
  }

  remove(key) {
    return this.#remove(key, -1);
  }

  removeIf(key, expected) {
    return this.#remove(key, checkedVersion(expected));
  }

  rename(from, to) {
    return this.#move(wasm.spinney_rename, from, to);
  }

  renamePrefix(from, to) {
    return this.#move(wasm.spinney_rename_prefix, from, to);
  }

  #move(move, from, to) {
    this[SCOPE].check();
    const fromBytes = writeKey(from, "from");
    const toBytes = writeSecondKey(to, "to");
    const isMoved = settle(move(this[SCOPE].id, this[TREE], fromBytes, toBytes)) !== ABSENT;
    this[SCOPE].wrote();
    return isMoved;
  }

  removePrefix(prefix) {
    this[SCOPE].check();
    const { id } = this[SCOPE];
    const isRemoved = settle(wasm.spinney_remove_prefix(id, this[TREE], writeKey(prefix, "prefix"))) !== ABSENT;
    this[SCOPE].wrote();
    return isRemoved;
  }

  close() {
    if (this[SCOPE] === nowhere) return;
    release(this, this[SCOPE], wasm.spinney_free_tree, this[TREE]);
    this[SCOPE] = nowhere;
  }
}

/** What batches and transactions ask of a tree: its handle, if it is one of this database. */
export function handleIn(scope, tree) {
  if (!(tree instanceof Tree)) throw invalid("tree", "a Tree, or the database for its default tree");
  tree[SCOPE].check();
  if (tree[SCOPE] !== scope) throw otherDatabase();
  return tree[TREE];
}

export function checkedVersion(version, argument = "expected") {
  if (Number.isSafeInteger(version) && version >= 0) return version;
  throw invalid(argument, "a version: what a put returned, or that of an entry");
}

/** Lets `using` close what this class makes. */
export function disposable(type) {
  if (!Symbol.dispose) return;
  const value = function () {
    this.close();
  };
  Object.defineProperty(type.prototype, Symbol.dispose, { value, writable: true, configurable: true });
}

disposable(Tree);
