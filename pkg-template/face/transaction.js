// Transactions: the closure is run here, and run again when the module says so.

import { SpinneyError, invalid } from "./errors.js";
import { Entries, LIST, readEntries, readOptions } from "./entries.js";
import {
  ABSENT, giveBack, keep, readCursor, readText, readValue, settle, wasm, writeKey, writeSecondKey, writeValue,
} from "./memory.js";
import { handleIn } from "./tree.js";

// A bit of scan.rs.
const REVERSE = 1;
const START_AFTER = 16;

export class Transaction {
  #scope;
  #tx;
  // What it was given up with, even if somebody has caught that.
  #givenUp;

  constructor(scope, tx) {
    this.#scope = scope;
    this.#tx = tx;
  }

  #check() {
    if (this.#tx !== 0) return;
    const message = "the transaction has ended: use it inside of the function that transact was given, alone";
    throw new SpinneyError("TransactionEnded", message);
  }

  // The handle of a tree, if it can be used here.
  #tree(tree) {
    this.#check();
    return handleIn(this.#scope, tree);
  }

  #find(tree, key) {
    const handle = this.#tree(tree);
    return settle(wasm.spinney_tx_get(this.#scope.id, this.#tx, handle, writeKey(key, "key")));
  }

  get(tree, key) {
    const length = this.#find(tree, key);
    return length === ABSENT ? undefined : readValue(length);
  }

  getText(tree, key) {
    const length = this.#find(tree, key);
    return length === ABSENT ? undefined : readText(length);
  }

  contains(tree, key) {
    return this.#find(tree, key) !== ABSENT;
  }

  put(tree, key, value) {
    const handle = this.#tree(tree);
    const keyBytes = writeKey(key, "key");
    const valueBytes = writeValue(value);
    settle(wasm.spinney_tx_put(this.#scope.id, this.#tx, handle, keyBytes, valueBytes));
    giveBack(valueBytes);
  }

  remove(tree, key) {
    const handle = this.#tree(tree);
    settle(wasm.spinney_tx_remove(this.#scope.id, this.#tx, handle, writeKey(key, "key")));
  }

  rename(tree, from, to) {
    const handle = this.#tree(tree);
    const fromBytes = writeKey(from, "from");
    const toBytes = writeSecondKey(to, "to");
    return settle(wasm.spinney_tx_rename(this.#scope.id, this.#tx, handle, fromBytes, toBytes)) === 1;
  }

  list(tree, prefix = "", options = undefined) {
    return this.#iterate(tree, prefix, readOptions(options, LIST));
  }

  scan(tree, prefix = "", options = undefined) {
    return this.#iterate(tree, prefix, readOptions(options));
  }

  // Each page goes on behind the last key of the one before it.
  #iterate(tree, prefix, { bits, limit, startAfter, delimiter }) {
    if (bits & REVERSE) throw invalid("reverse", "left out: transactions read forwards alone");
    this.#tree(tree);
    const begin = keep(prefix);
    let after = keep(startAfter);
    let left = limit;
    let hasMore = true;
    const draw = () => {
      if (!hasMore || left === 0) return undefined;
      const handle = this.#tree(tree);
      const prefixBytes = writeKey(begin, "prefix");
      const afterBytes = after === undefined ? 0 : writeSecondKey(after, "startAfter");
      const wanted = after === undefined ? bits : bits | START_AFTER;
      const { id } = this.#scope;
      const rows = settle(
        wasm.spinney_tx_scan(id, this.#tx, handle, prefixBytes, afterBytes, wanted, left, delimiter),
      );
      hasMore = readCursor() !== 0;
      const page = readEntries(rows);
      left -= rows;
      const last = page.at(-1)?.key;
      after = keep(last);
      return page;
    };
    return new Entries(this, draw() ?? [], () => this.#check(), draw);
  }

  abort() {
    this.#check();
    const message = "the transaction was given up by its own function: nothing was applied";
    this.#givenUp = new SpinneyError("Aborted", message);
    throw this.#givenUp;
  }

  /** Runs a function until what it does can be applied. */
  static run(scope, run) {
    if (typeof run !== "function") throw invalid("run", "a function that gets a transaction");
    const triesMax = wasm.spinney_tries_max();
    for (let tries = 0; tries < triesMax; tries++) {
      scope.check();
      const outcome = Transaction.#runOnce(scope, run);
      if (outcome !== undefined) return outcome.result;
    }
    const message = `others changed what it had read, ${triesMax} times in a row: nothing was applied`;
    throw new SpinneyError("Conflict", message, { tries: triesMax });
  }

  // Undefined: it has to be run again.
  static #runOnce(scope, run) {
    const handle = settle(wasm.spinney_begin(scope.id));
    const tx = new Transaction(scope, handle);
    let result;
    try {
      result = run(tx);
      if (tx.#givenUp) throw tx.#givenUp;
      if (typeof result?.then === "function") {
        // Whatever becomes of it, nobody waits for it.
        result.then(undefined, () => {});
        throw invalid("run", "synchronous: await what it needs before the transaction");
      }
      scope.check();
    } catch (error) {
      tx.#tx = 0;
      if (scope.closed) throw error;
      // What was read may be of two moments, and the error no more than a consequence of it.
      if (settle(wasm.spinney_abort(scope.id, handle)) === 1) return undefined;
      throw error;
    }
    tx.#tx = 0;
    const isApplied = settle(wasm.spinney_commit(scope.id, handle)) === 1;
    scope.wrote();
    return isApplied ? { result } : undefined;
  }
}
