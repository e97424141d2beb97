// Batches: several writes as one.

import { closed } from "./errors.js";
import { ABSENT, giveBack, readPage, settle, wasm, writeKey, writeSecondKey, writeValue } from "./memory.js";
import { isBuffered } from "./opfs.js";
import { adopt, release } from "./scope.js";
import { checkedVersion, disposable, handleIn } from "./tree.js";

// The steps, as in batch.rs.
const PUT = 0;
const PUT_IF_ABSENT = 1;
const COMPARE_AND_PUT = 2;
const REMOVE = 3;
const REMOVE_IF = 4;
const RENAME = 5;
const EXPECT_VERSION = 6;
const EXPECT_ABSENT = 7;
const EXPECT_PRESENT = 8;
const EXPECT_EMPTY = 9;

export class Batch {
  #scope;
  #batch;

  constructor(scope) {
    scope.check();
    this.#scope = scope;
    this.#batch = settle(wasm.spinney_batch(scope.id));
    adopt(this, scope, wasm.spinney_free_batch, this.#batch);
  }

  /** How many steps it has. */
  length = 0;

  #check() {
    this.#scope.check();
    if (this.#batch === 0) {
      throw closed("batch");
    }
  }

  // `writeOther` writes the value or the second key and returns its length.
  #step(tree, step, key, writeOther, other, version = 0, argument = "key") {
    this.#check();
    const handle = handleIn(this.#scope, tree);
    const keyBytes = writeKey(key, argument);
    const otherBytes = writeOther === undefined ? 0 : writeOther(other, "to");
    const { id } = this.#scope;
    this.length = settle(
      wasm.spinney_batch_step(id, this.#batch, handle, step, keyBytes, otherBytes, version),
    );
    if (writeOther === writeValue) giveBack(otherBytes);
    return this;
  }

  put(tree, key, value) {
    return this.#step(tree, PUT, key, writeValue, value);
  }

  putIfAbsent(tree, key, value) {
    return this.#step(tree, PUT_IF_ABSENT, key, writeValue, value);
  }

  compareAndPut(tree, key, expected, value) {
    return this.#step(tree, COMPARE_AND_PUT, key, writeValue, value, checkedVersion(expected));
  }

  remove(tree, key) {
    return this.#step(tree, REMOVE, key);
  }

  removeIf(tree, key, expected) {
    return this.#step(tree, REMOVE_IF, key, undefined, undefined, checkedVersion(expected));
  }

  rename(tree, from, to) {
    return this.#step(tree, RENAME, from, writeSecondKey, to, 0, "from");
  }

  expectVersion(tree, key, expected) {
    return this.#step(tree, EXPECT_VERSION, key, undefined, undefined, checkedVersion(expected));
  }

  expectAbsent(tree, key) {
    return this.#step(tree, EXPECT_ABSENT, key);
  }

  expectPresent(tree, key) {
    return this.#step(tree, EXPECT_PRESENT, key);
  }

  expectEmpty(tree, prefix) {
    return this.#step(tree, EXPECT_EMPTY, prefix, undefined, undefined, 0, "prefix");
  }

  durability(durability) {
    const buffered = isBuffered(durability) ? 1 : 0;
    this.#check();
    settle(wasm.spinney_batch_durability(this.#scope.id, this.#batch, buffered));
    return this;
  }

  commit() {
    this.#check();
    const rows = settle(wasm.spinney_batch_commit(this.#scope.id, this.#batch));
    this.#scope.wrote();
    this.length = 0;
    const { numbers } = readPage(rows);
    return Array.from({ length: rows }, (_, row) => {
      const version = numbers[row * 3 + 2];
      return version === ABSENT ? undefined : version;
    });
  }

  close() {
    if (this.#batch === 0) return;
    release(this, this.#scope, wasm.spinney_free_batch, this.#batch);
    this.#batch = 0;
    this.length = 0;
  }
}

disposable(Batch);
