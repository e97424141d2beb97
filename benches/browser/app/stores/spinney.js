// Spinney, in memory and in files of the site.

import { init, Spinney } from "/node_modules/spinney/index.js";
import { VALUE_BYTES } from "../paths.js";

export const load = init;

const NAME = "bench";

function reader(db) {
  const target = new Uint8Array(VALUE_BYTES);
  return {
    get: (path) => db.getInto(path, target),
    bytes: (path) => target.subarray(0, db.getInto(path, target)),
    list(prefix, see) {
      for (const { key } of db.list(prefix, { values: false })) see(key);
    },
    scanKeys(startAfter, limit, see) {
      for (const { key } of db.scan("", { startAfter, limit, values: false })) see(key);
    },
    scan(startAfter, limit, see) {
      for (const { key, value } of db.scan("", { startAfter, limit })) see(key, value);
    },
    page: (startAfter, limit) => db.scan("", { startAfter, limit }).toArray(),
  };
}

export async function open() {
  await init();
  const db = Spinney.memory();
  return {
    ...reader(db),
    put: (path, value) => db.put(path, value),
    finish: () => {},
    close: () => db.close(),
  };
}

export async function openFiles() {
  const db = await Spinney.openOpfs(NAME);
  const buffered = db.withDurability("buffered");
  return {
    ...reader(db),
    putDurable: (path, value) => db.put(path, value),
    putBuffered: (path, value) => buffered.put(path, value),
    settle: () => db.sync(),
    fill(entries) {
      for (const [path, value] of entries) buffered.put(path, value);
      db.checkpoint();
    },
    close: () => db.close(),
  };
}
