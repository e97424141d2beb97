// Entries, and the iterators that hand them out. They cross into the wasm module once for a page.

import { invalid } from "./errors.js";
import { giveBack, readCursor, readPage, settle, wasm, writeKey, writeSecondKey } from "./memory.js";
import { adopt, disown, release } from "./scope.js";

// Bits and numbers as in scan.rs and page.rs.
const REVERSE = 1;
const VALUES = 2;
const BYTES = 4;
export const LIST = 8;
const START_AFTER = 16;
const IS_PREFIX = -2;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

// Where the value of an entry lies. No private fields: what frameworks make of an entry, a proxy that watches
// it, could not ask for its value then.
const ARENA = Symbol("arena");
const START = Symbol("start");
const END = Symbol("end");

/** A key with its value and version, or a directory. */
export class Entry {

  constructor(key, version, isPrefix, arena, start, end) {
    this.key = key;
    this.version = version;
    this.isPrefix = isPrefix;
    this[ARENA] = arena;
    this[START] = start;
    this[END] = end;
  }

  // Made when it is asked for: a typed array costs several times as much as all the rest of an entry.
  get value() {
    return this[ARENA]?.subarray(this[START], this[END]);
  }

  get text() {
    const value = this.value;
    return value && decoder.decode(value);
  }
}

const noBytes = new Uint8Array(0);

/** The entries of the page that a call has made. */
export function readEntries(rows) {
  if (rows === 0) return [];
  const { numbers, text, arena = noBytes } = readPage(rows);
  const entries = new Array(rows);
  let unit = 0;
  let byte = 0;
  for (let i = 0, at = 0; i < rows; i++, at += 3) {
    const keyLength = numbers[at];
    const valueBytes = numbers[at + 1];
    let key;
    if (keyLength >= 0) {
      key = text.substring(unit, (unit += keyLength));
    } else {
      key = arena.slice(byte, (byte += -1 - keyLength));
    }
    if (valueBytes >= 0) {
      entries[i] = new Entry(key, numbers[at + 2], false, arena, byte, (byte += valueBytes));
    } else if (valueBytes === IS_PREFIX) {
      entries[i] = new Entry(key, undefined, true);
    } else {
      entries[i] = new Entry(key, numbers[at + 2], false);
    }
  }
  giveBack(arena.length);
  return entries;
}

/** The names on the page that a call has made. */
export function readNames(rows) {
  return readEntries(rows).map((entry) => entry.key);
}

// ------------------------------------------------------------------ options -----

const noOptions = {};

/** What an options object says; reading it may run code of the user. */
export function readOptions(options = noOptions, kind = 0) {
  if (typeof options !== "object" || options === null) throw invalid("options", "an object");
  const { startAfter, limit = Infinity, reverse = false, delimiter, values = true, keys = "text" } = options;
  if (typeof limit !== "number" || !(limit >= 0) || (limit !== Infinity && !Number.isInteger(limit))) {
    throw invalid("limit", "a whole number, 0 or above");
  }
  if (typeof reverse !== "boolean") throw invalid("reverse", "true or false");
  if (typeof values !== "boolean") throw invalid("values", "true or false");
  if (keys !== "text" && keys !== "bytes") throw invalid("keys", '"text" or "bytes"');
  let bits = kind | (reverse ? REVERSE : 0) | (values ? VALUES : 0) | (keys === "bytes" ? BYTES : 0);
  if (startAfter !== undefined) bits |= START_AFTER;
  return { bits, limit, startAfter, delimiter: readDelimiter(delimiter, kind) };
}

function readDelimiter(delimiter, kind) {
  if (delimiter === undefined) return 0x2f;
  if (kind !== LIST) {
    throw invalid("delimiter", "left out: scan goes into every directory, list is what stops");
  }
  if (typeof delimiter !== "string" || delimiter.length !== 1 || delimiter > "\x7f") {
    throw invalid("delimiter", "a string of one ASCII character");
  }
  return delimiter.charCodeAt(0);
}

// ---------------------------------------------------------------- iterators -----

/**
 * Entries page by page. `check` throws if there is nothing to read from any more; `draw` makes the next page,
 * or returns undefined when there is none; `end` is told when nothing more is wanted. The owner is only held,
 * so that it is not collected before.
 */
export class Entries {
  #owner;
  #check;
  #draw;
  #end;
  #page;
  #at = 0;

  constructor(owner, page, check, draw, end) {
    this.#owner = owner;
    this.#page = page;
    this.#check = check;
    this.#draw = draw;
    this.#end = end;
  }

  next() {
    this.#check();
    if (this.#at === this.#page.length && !this.#turn()) return { value: undefined, done: true };
    return { value: this.#page[this.#at++], done: false };
  }

  return(value) {
    this.close();
    return { value, done: true };
  }

  toArray() {
    this.#check();
    const all = this.#at === 0 ? this.#page : this.#page.slice(this.#at);
    this.#at = this.#page.length;
    while (this.#turn()) {
      for (const entry of this.#page) all.push(entry);
      this.#at = this.#page.length;
    }
    return all;
  }

  close() {
    const end = this.#end;
    this.#draw = this.#end = undefined;
    this.#page = [];
    this.#at = 0;
    end?.();
  }

  #turn() {
    let page;
    try {
      page = this.#draw?.();
    } catch (error) {
      // The module has dropped the cursor.
      this.#end = undefined;
      this.close();
      throw error;
    }
    if (page === undefined || page.length === 0) {
      this.close();
      return false;
    }
    this.#page = page;
    this.#at = 0;
    return true;
  }
}

// Symbol.iterator, and wherever the engine has them `map`, `take`, `filter` and the other iterator helpers.
Object.setPrototypeOf(
  Entries.prototype,
  Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())),
);
if (Symbol.dispose) {
  const value = Entries.prototype.close;
  Object.defineProperty(Entries.prototype, Symbol.dispose, { value, writable: true, configurable: true });
}

/** Starts a scan or a list. If it is longer than a page it has a cursor, to be given back in the end. */
export function iterate(owner, scope, tree, prefix, options) {
  const { bits, limit, startAfter, delimiter } = options;
  const prefixBytes = writeKey(prefix, "prefix");
  const afterBytes = startAfter === undefined ? 0 : writeSecondKey(startAfter, "startAfter");
  const rows = settle(wasm.spinney_scan(scope.id, tree, prefixBytes, afterBytes, bits, limit, delimiter));
  let cursor = readCursor();
  const first = readEntries(rows);
  const check = () => scope.check();
  if (cursor === 0) return new Entries(owner, first, check);
  const free = wasm.spinney_free_cursor;
  // Nothing that the registry or the iterator holds may lead back to the iterator.
  const token = {};
  const draw = () => {
    if (cursor === 0) return undefined;
    const page = wasm.spinney_next(scope.id, cursor);
    if (page < 0) {
      disown(token);
      settle(page);
    }
    const next = readCursor();
    if (next === 0) disown(token);
    cursor = next;
    return readEntries(page);
  };
  const end = () => {
    if (cursor !== 0) release(token, scope, free, cursor);
    cursor = 0;
  };
  const entries = new Entries(owner, first, check, draw, end);
  adopt(entries, scope, free, cursor, token);
  return entries;
}
