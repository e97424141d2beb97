// The part of the JavaScript face that has to be JavaScript: loops over strings and typed arrays, the
// iterator, the error class. glue.rs declares what the Rust side calls. An address is an offset into the
// memory of the wasm module; it is valid until the function that got it returns.

const WRONG_TYPE = -1;
const ILL_FORMED = -2;

// Up to so many bytes a loop is faster than TypedArray.set, on the way in and, where a subarray has to be
// made first, on the way out. (Node 20 and Chromium 148 agree within a few bytes.)
const LOOP_IN_BYTES = 16;
const LOOP_OUT_BYTES = 48;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const emptyBytes = new Uint8Array(0);

// Of the typed arrays of a user only what is built in is asked, so that none of the user's code runs.
const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const nameGetter = Object.getOwnPropertyDescriptor(typedArray, Symbol.toStringTag).get;
const lengthGetter = Object.getOwnPropertyDescriptor(typedArray, "length").get;
const setBytes = typedArray.set;

// One of any realm and its subclasses, but not a proxy of one.
function isBytes(value) {
  return nameGetter.call(value) === "Uint8Array";
}

let memory;
let seen = emptyBytes;

// When the memory grows, the buffer that was seen before is detached and has no bytes left.
function view() {
  if (seen.length === 0) seen = new Uint8Array(memory.buffer);
  return seen;
}

export function attach(wasmMemory, closed) {
  memory = wasmMemory;
  seen = emptyBytes;
  // The generated `free` would leave an object whose every call fails with a text about null pointers.
  // Closing gives the same memory back; what little is left goes with the object, by its finalizer.
  const spinney = Object.getPrototypeOf(closed);
  closed.free();
  spinney.free = spinney.close;
  if (Symbol.dispose) spinney[Symbol.dispose] = spinney.close;
}

// ------------------------------------------------------------------ keys in -----

// A loop: for a key of 57 ASCII characters it takes 106 ns in Chromium 148, TextEncoder.encodeInto 542 (in
// Node 20: 125 and 82). Looking for other characters afterwards is a sixth faster than leaving the loop.
export function takeKey(key, address, limitBytes) {
  if (typeof key !== "string") return takeBytes(key, address, limitBytes);
  const length = key.length;
  if (length > limitBytes) return takeText(key, address, limitBytes);
  const to = view();
  let all = 0;
  for (let i = 0; i < length; i++) {
    const unit = key.charCodeAt(i);
    all |= unit;
    to[address + i] = unit;
  }
  return all > 0x7f ? takeText(key, address, limitBytes) : length;
}

// The same for any string. TextEncoder replaces half a surrogate pair by U+FFFD: two keys became one.
function takeText(text, address, limitBytes) {
  const to = view();
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if ((code & 0xf800) === 0xd800) {
      const low = text.charCodeAt(++i);
      if (code > 0xdbff || (low & 0xfc00) !== 0xdc00) return ILL_FORMED;
      code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
    }
    const size = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    if (length + size <= limitBytes) writeScalar(to, address + length, code, size);
    length += size;
  }
  return length;
}

function writeScalar(to, at, code, size) {
  if (size === 1) {
    to[at] = code;
    return;
  }
  for (let i = size - 1; i > 0; i--) {
    to[at + i] = 0x80 | (code & 0x3f);
    code >>= 6;
  }
  to[at] = ((0xf00 >> size) & 0xff) | code;
}

export function takeBytes(bytes, address, limitBytes) {
  if (!isBytes(bytes)) return WRONG_TYPE;
  const length = lengthGetter.call(bytes);
  if (length > limitBytes) return length;
  const to = view();
  if (length > LOOP_IN_BYTES) {
    to.set(bytes, address);
  } else {
    for (let i = 0; i < length; i++) to[address + i] = bytes[i];
  }
  return length;
}

// --------------------------------------------------------------- values out -----

export function giveBytes(address, lengthBytes) {
  return view().slice(address, address + lengthBytes);
}

export function copyBytes(address, lengthBytes, target) {
  if (!isBytes(target)) return false;
  if (lengthBytes > lengthGetter.call(target)) return true;
  const from = view();
  if (lengthBytes > LOOP_OUT_BYTES) {
    setBytes.call(target, from.subarray(address, address + lengthBytes));
  } else {
    for (let i = 0; i < lengthBytes; i++) target[i] = from[address + i];
  }
  return true;
}

// ---------------------------------------------------------------- iterators -----

// Three numbers for each entry, as bundle.rs packs them.
const TABLE_NUMBERS = 3;
const IS_PREFIX = -2;

export function unpack(table, entries, text, textBytes, arena, arenaBytes) {
  const from = view();
  const numbers = new Float64Array(memory.buffer, table, entries * TABLE_NUMBERS);
  const keys = decoder.decode(from.subarray(text, text + textBytes));
  const bytes = arenaBytes === 0 ? emptyBytes : from.slice(arena, arena + arenaBytes);
  const unpacked = new Array(entries);
  let unit = 0;
  let byte = 0;
  for (let i = 0; i < entries; i++) {
    const at = i * TABLE_NUMBERS;
    const keyLength = numbers[at];
    const valueBytes = numbers[at + 1];
    const version = numbers[at + 2];
    let key, value;
    if (keyLength >= 0) {
      key = keys.substring(unit, (unit += keyLength));
    } else {
      key = bytes.subarray(byte, (byte += -1 - keyLength));
    }
    if (valueBytes >= 0) value = bytes.subarray(byte, (byte += valueBytes));
    const isPrefix = valueBytes === IS_PREFIX;
    unpacked[i] = { key, value, version: isPrefix ? undefined : version, isPrefix };
  }
  return unpacked;
}

class Entries {
  #cursor;
  #token;
  #bundle = [];
  #at = 0;

  constructor(cursor, token) {
    this.#cursor = cursor;
    this.#token = token;
  }

  next() {
    if (this.#token.closed) throw failure("Closed", CLOSED);
    if (this.#at === this.#bundle.length && !this.#draw()) return { value: undefined, done: true };
    return { value: this.#bundle[this.#at++], done: false };
  }

  return(value) {
    this.#end();
    return { value, done: true };
  }

  #draw() {
    if (this.#cursor === undefined) return false;
    try {
      this.#bundle = this.#cursor.draw();
    } catch (error) {
      this.#end();
      throw error;
    }
    this.#at = 0;
    if (this.#bundle.length === 0) this.#end();
    return this.#bundle.length > 0;
  }

  #end() {
    this.#cursor?.free();
    this.#cursor = undefined;
    this.#bundle = [];
    this.#at = 0;
  }
}

// Symbol.iterator, and wherever the engine has them `map`, `take`, `toArray` and the other iterator helpers.
Object.setPrototypeOf(
  Entries.prototype,
  Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]())),
);

export function iterator(cursor, token) {
  return new Entries(cursor, token);
}

export function token() {
  return { closed: false };
}

export function closeToken(token) {
  token.closed = true;
}

// ------------------------------------------------------------------- errors -----

const CLOSED = "the database has been closed: open it again";

class SpinneyError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

Object.defineProperty(SpinneyError.prototype, "name", {
  value: "SpinneyError",
  writable: true,
  configurable: true,
});

export function failure(code, message) {
  return new SpinneyError(code, message);
}
