// Rows of files for tests in Rust.

import { lendFiles } from "../../pkg-template/face/files.js";

const ROWS = 16;
const handlesOf = new Map();
let rows;

export async function openRows() {
  rows ??= open();
  rows = await rows;
}

async function open() {
  const folder = await navigator.storage.getDirectory();
  const open = async (name) => {
    const file = await folder.getFileHandle(name, { create: true });
    const handle = await file.createSyncAccessHandle();
    handle.truncate(0);
    return handle;
  };
  const names = Array.from({ length: ROWS }, (_, row) => ["", "-log", "-journal"].map((end) => `${row}${end}`));
  return Promise.all(names.map((row) => Promise.all(row.map(open))));
}

/** What the module gets in place of a handle: its reads and writes can be made to fail. */
class Handle {
  isFull = false;
  isShort = false;
  #handle;

  constructor(handle) {
    this.#handle = handle;
  }

  #part(bytes) {
    return this.isShort && bytes.length > 1000 ? bytes.subarray(0, 1000) : bytes;
  }

  getSize() {
    return this.#handle.getSize();
  }

  truncate(bytes) {
    if (this.isFull) throw new DOMException("no space", "QuotaExceededError");
    this.#handle.truncate(bytes);
  }

  read(into, options) {
    return this.#handle.read(this.#part(into), options);
  }

  write(from, options) {
    return this.#handle.write(this.#part(from), options);
  }

  flush() {
    this.#handle.flush();
  }
}

export function nextRow() {
  const handles = rows.shift().map((handle) => new Handle(handle));
  const row = lendFiles(handles);
  handlesOf.set(row, handles);
  return row;
}

export function limitRow(row, isFull) {
  for (const handle of handlesOf.get(row)) handle.isFull = isFull;
}

export function shortenRow(row) {
  for (const handle of handlesOf.get(row)) handle.isShort = true;
}
