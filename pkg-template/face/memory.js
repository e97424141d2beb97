// The buffers of the wasm module: keys and values on their way in, values and texts on their way out.
// src/wasm/memory.rs has the other half. Nothing here runs code of a user between a write into the buffers
// and the call that reads them.

import { SpinneyError, invalid } from "./errors.js";

/** The functions of the wasm module, once it is there. */
export let wasm;

// Places in the table, as in memory.rs.
const INPUT = 0;
const INPUT_BYTES = 1;
const OUTPUT = 2;
const OUTPUT_BYTES = 3;
const VERSION = 4;
const ROWS = 5;
const TEXT = 6;
const TEXT_BYTES = 7;
const CURSOR = 8;
const PLACES = 9;

export const ABSENT = -1;
const FAILED = -2;
/** Pages have to be brought first. */
export const AWAITED = -4;

// Up to so many bytes a loop is faster than TypedArray.set, on the way in and, where a subarray has to be
// made first, on the way out. (Node 20 and Chromium 148 agree within a few bytes.)
const LOOP_IN_BYTES = 16;
const LOOP_OUT_BYTES = 48;
// A text of so many characters is written by a loop, as keys are; a longer one by TextEncoder.
const LOOP_TEXT_UNITS = 200;
// After more than this, the module gives its memory back.
const LARGE_BYTES = 1 << 20;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
const encoder = new TextEncoder();

// Of the typed arrays of a user only what is built in is asked, so that none of the user's code runs.
const typedArray = Object.getPrototypeOf(Uint8Array.prototype);
const nameGetter = Object.getOwnPropertyDescriptor(typedArray, Symbol.toStringTag).get;
const lengthGetter = Object.getOwnPropertyDescriptor(typedArray, "length").get;
const setBytes = typedArray.set;

let bytes = new Uint8Array(0);
let table;
let tableAt;
let keysAt;
let secondKeyAt;
let keyBytesMax;
let valueBytesMax;

/** Takes the functions of an instance of the module. */
export function attach(exports) {
  wasm = exports;
  tableAt = wasm.spinney_table();
  keysAt = wasm.spinney_keys();
  [keyBytesMax, valueBytesMax] = [0, 1].map((of) => wasm.spinney_limit_bytes(of));
  secondKeyAt = keysAt + keyBytesMax;
  see();
}

function see() {
  bytes = new Uint8Array(wasm.memory.buffer);
  table = new Float64Array(wasm.memory.buffer, tableAt, PLACES);
}

// When the memory has grown, the buffer that was seen before is detached and has no bytes left.
function view() {
  if (bytes.length === 0) see();
  return bytes;
}

/** Whether a value is a Uint8Array: of any realm and of any subclass, but not a proxy of one. */
export function isBytes(value) {
  return nameGetter.call(value) === "Uint8Array";
}

/** The length of bytes, as the module takes it: 32 bits. What is longer is refused in any case. */
export function lengthOf(value) {
  return Math.min(lengthGetter.call(value), 0xffffffff);
}

/** A key that nobody else can change. (`slice` of a Buffer is no copy.) */
export function keep(key) {
  return isBytes(key) ? new Uint8Array(key) : key;
}

// ------------------------------------------------------------------ keys in -----

/** Writes a key and returns its length. One that is too long is refused by the call that gets the length. */
export function writeKey(key, argument) {
  return write(key, argument, keysAt);
}

/** The same where the second key lies. */
export function writeSecondKey(key, argument) {
  return write(key, argument, secondKeyAt);
}

export function writeName(name, argument = "name") {
  if (typeof name !== "string") throw invalid(argument, "a string");
  return write(name, argument, argument === "to" ? secondKeyAt : keysAt);
}

// A loop: for a key of 57 ASCII characters it takes 106 ns in Chromium 148, TextEncoder.encodeInto 542 (in
// Node 20: 125 and 82). Looking for other characters afterwards is a sixth faster than leaving the loop.
function write(key, argument, address) {
  if (typeof key !== "string") return writeBytesOfKey(key, argument, address);
  const length = key.length;
  if (length > keyBytesMax) return writeScalars(key, argument, address, keyBytesMax);
  const to = view();
  let all = 0;
  for (let i = 0; i < length; i++) {
    const unit = key.charCodeAt(i);
    all |= unit;
    to[address + i] = unit;
  }
  return all > 0x7f ? writeScalars(key, argument, address, keyBytesMax) : length;
}

function writeBytesOfKey(key, argument, address) {
  if (!isBytes(key)) throw invalid(argument, "a string or a Uint8Array");
  const length = lengthOf(key);
  if (length <= keyBytesMax) copyIn(key, length, address);
  return length;
}

function copyIn(from, length, address) {
  const to = view();
  if (length > LOOP_IN_BYTES) {
    to.set(from, address);
  } else {
    for (let i = 0; i < length; i++) to[address + i] = from[i];
  }
}

// The same for any string. TextEncoder replaces half a surrogate pair by U+FFFD: two keys became one.
function writeScalars(text, argument, address, limitBytes) {
  const to = view();
  let length = 0;
  for (let i = 0; i < text.length; i++) {
    let code = text.charCodeAt(i);
    if ((code & 0xf800) === 0xd800) {
      const low = text.charCodeAt(++i);
      if (code > 0xdbff || (low & 0xfc00) !== 0xdc00) throw illFormed(argument);
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

function illFormed(argument) {
  return invalid(argument, "well-formed: it has half a surrogate pair");
}

// ---------------------------------------------------------------- values in -----

// Makes room in the input and returns its address.
function room(bytesNeeded) {
  view();
  if (table[INPUT_BYTES] < bytesNeeded) {
    settle(wasm.spinney_reserve_input(Math.max(bytesNeeded, 4096)));
    view();
  }
  return table[INPUT];
}

/** Writes a value and returns its length. One that is too long is refused by the call that gets the length. */
export function writeValue(value) {
  if (typeof value === "string") return writeText(value);
  if (!isBytes(value)) throw invalid("value", "a Uint8Array or a string");
  const length = lengthOf(value);
  if (length <= valueBytesMax) copyIn(value, length, room(length));
  return length;
}

function writeText(text) {
  if (text.length <= LOOP_TEXT_UNITS) {
    return writeScalars(text, "value", room(3 * LOOP_TEXT_UNITS), 3 * LOOP_TEXT_UNITS);
  }
  if (text.length > valueBytesMax) return text.length;
  if (/\p{Surrogate}/u.test(text)) throw illFormed("value");
  // A string rarely has more bytes than units; but if it has, no more than three for each.
  let at = room(text.length);
  let { read, written } = encoder.encodeInto(text, view().subarray(at, at + text.length));
  if (read < text.length) {
    const rest = text.slice(read);
    at = room(written + 3 * rest.length);
    written += encoder.encodeInto(rest, view().subarray(at + written, at + written + 3 * rest.length)).written;
  }
  return written;
}

/** Writes an image, whatever its size, and returns its length. */
export function writeImage(image) {
  if (!isBytes(image)) throw invalid("image", "a Uint8Array");
  const length = lengthOf(image);
  copyIn(image, length, room(length));
  return length;
}

/** Writes pages and returns their length. */
export function writeBytes(from) {
  copyIn(from, from.length, room(from.length));
  return from.length;
}

/** Writes a list of keys: their lengths, then all of them. Returns how many bytes that are. */
export function writeKeys(keys) {
  const lengths = new Uint32Array(keys.length);
  let end = lengths.byteLength;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i];
    const argument = `keys[${i}]`;
    if (typeof key === "string") {
      const at = room(roomFor(end + 3 * key.length)) + end;
      lengths[i] = writeScalars(key, argument, at, 3 * key.length);
    } else {
      if (!isBytes(key)) throw invalid(argument, "a string or a Uint8Array");
      lengths[i] = lengthOf(key);
      copyIn(key, lengths[i], room(roomFor(end + lengths[i])) + end);
    }
    end += lengths[i];
  }
  copyIn(new Uint8Array(lengths.buffer), lengths.byteLength, room(end));
  return end;
}

// In steps that double, so that a long list is not moved again and again.
function roomFor(bytesNeeded) {
  return 2 ** Math.ceil(Math.log2(Math.max(bytesNeeded, 4096)));
}

// --------------------------------------------------------------- values out -----

/** The output as a Uint8Array of its own. */
export function readValue(length) {
  const from = view();
  const at = table[OUTPUT];
  const value = from.slice(at, at + length);
  giveBack(length);
  return value;
}

/** The output as a string. */
export function readText(length = outputBytes()) {
  const from = view();
  const at = table[OUTPUT];
  const text = decoder.decode(from.subarray(at, at + length));
  giveBack(length);
  return text;
}

/** Copies the output into a Uint8Array, if it fits there. */
export function readInto(target, length) {
  if (length > lengthOf(target)) return;
  const from = view();
  const at = table[OUTPUT];
  if (length > LOOP_OUT_BYTES) {
    setBytes.call(target, from.subarray(at, at + length));
  } else {
    for (let i = 0; i < length; i++) target[i] = from[at + i];
  }
}

function outputBytes() {
  view();
  return table[OUTPUT_BYTES];
}

/** The version of the output. */
export function readVersion() {
  view();
  return table[VERSION];
}

/** The cursor behind the page, or 0. */
export function readCursor() {
  view();
  return table[CURSOR];
}

/** A page: its numbers, lent until the next call; its text, decoded at one go; its other bytes, copied so. */
export function readPage(rows) {
  const from = view();
  const [text, textBytes] = [table[TEXT], table[TEXT_BYTES]];
  const [arena, arenaBytes] = [table[OUTPUT], table[OUTPUT_BYTES]];
  return {
    numbers: new Float64Array(from.buffer, table[ROWS], rows * 3),
    text: textBytes === 0 ? "" : decoder.decode(from.subarray(text, text + textBytes)),
    arena: arenaBytes === 0 ? undefined : from.slice(arena, arena + arenaBytes),
  };
}

/** Lets the module give back what a large value has taken. */
export function giveBack(length) {
  if (length > LARGE_BYTES) wasm.spinney_shrink();
}

// ------------------------------------------------------------------- errors -----

/** The answer of a call; throws what it was refused with. */
export function settle(answer) {
  if (answer >= ABSENT) return answer;
  throw refused(answer);
}

function refused(answer) {
  if (answer !== FAILED) {
    return new SpinneyError("Broken", "an earlier call has trapped inside the wasm module: load it again");
  }
  const { code, message, ...fields } = JSON.parse(readText());
  return new SpinneyError(code, message, fields);
}
