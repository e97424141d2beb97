// Measures the package in one page: paths as object stores have them, values of 100 bytes.

import { init, Spinney } from "spinney";

const folders = ["photos", "documents", "backup/daily", "exports"];
const VALUE_BYTES = 100;

// xorshift32.
let state = 0x2545f491;
function random(end) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % end;
}

function pathOf(number) {
  const tenant = String(number % 97).padStart(3, "0");
  const folder = folders[number % 4];
  const month = String(1 + (number % 12)).padStart(2, "0");
  return `tenant-${tenant}/${folder}/2026/${month}/object-${String(number).padStart(7, "0")}.jpg`;
}

function shuffled(items) {
  for (let i = items.length - 1; i > 0; i--) {
    const other = random(i + 1);
    [items[i], items[other]] = [items[other], items[i]];
  }
  return items;
}

// Microseconds for each of `count`, all runs together.
function mean(count, run, runs = 1) {
  const start = performance.now();
  for (let i = 0; i < runs; i++) run(i);
  return ((performance.now() - start) * 1000) / count / runs;
}

// The same of many short runs, of which the lower quartile counts: a machine has other work, too.
const SLICES = 60;
const SLICE = 1500;
function measure(count, run) {
  const times = [];
  for (let i = 0; i < SLICES; i++) times.push(mean(count, () => run(i)));
  return times.sort((a, b) => a - b)[SLICES / 4];
}

function measureOne(count) {
  const paths = shuffled(Array.from({ length: count }, (_, number) => pathOf(number)));
  const value = Uint8Array.from({ length: VALUE_BYTES }, (_, i) => i);
  const db = Spinney.memory();
  const results = {};
  results["put, random order"] = mean(count, () => paths.forEach((path) => db.put(path, value)));
  const stats = db.stats();
  const raw = paths.reduce((sum, path) => sum + path.length, 0) / count + VALUE_BYTES;
  results["bytes a path in memory"] = (stats.totalBlobs * 512 * 1024) / count;
  results["bytes a path, key and value"] = raw;
  const asked = shuffled(paths.slice()).slice(0, SLICES * SLICE);
  const slices = Array.from({ length: SLICES }, (_, i) => asked.slice(i * SLICE, (i + 1) * SLICE));
  const target = new Uint8Array(VALUE_BYTES);
  let seen = 0;
  results["getInto"] = measure(SLICE, (i) => {
    for (const path of slices[i]) seen += db.getInto(path, target);
  });
  results["get"] = measure(SLICE, (i) => {
    for (const path of slices[i]) seen += db.get(path).length;
  });
  results["getText"] = measure(SLICE, (i) => {
    for (const path of slices[i]) seen += db.getText(path).length;
  });
  results["get, a miss"] = measure(SLICE, (i) => {
    for (const path of slices[i]) seen += db.get(`${path}x`) === undefined ? 1 : 0;
  });
  results["getMany of 100, each"] = measure(SLICE, (slice) => {
    for (let i = 0; i < SLICE; i += 100) seen += db.getMany(slices[slice].slice(i, i + 100)).length;
  });
  results["overwrite"] = measure(SLICE, (i) => {
    for (const path of slices[i]) seen += db.put(path, value);
  });
  // Directories of some hundred children, as many as make a slice.
  const directoryOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);
  const directories = [...new Set(asked.map(directoryOf))].slice(0, 10);
  let children = 0;
  for (const directory of directories) children += db.list(directory).toArray().length;
  results["children of a directory"] = children / directories.length;
  results["list, a child (keys)"] = measure(children, () => {
    for (const directory of directories) for (const { key } of db.list(directory)) seen += key.length;
  });
  results["list, a child (keys and values)"] = measure(children, () => {
    for (const directory of directories) {
      for (const { key, value } of db.list(directory)) seen += key.length + value.length;
    }
  });
  results["list without values, a child"] = measure(children, () => {
    for (const directory of directories) {
      for (const { key } of db.list(directory, { values: false })) seen += key.length;
    }
  });
  results["list of directories, a child"] = measure(97 * 10, () => {
    for (let i = 0; i < 10; i++) for (const { key } of db.list("")) seen += key.length;
  });
  const some = (i) => db.scan("", { startAfter: asked[i], limit: 10000 });
  results["scan, a row (keys)"] = measure(10000, (i) => {
    for (const { key } of some(i)) seen += key.length;
  });
  results["scan, a row (keys and values)"] = measure(10000, (i) => {
    for (const { key, value } of some(i)) seen += key.length + value.length;
  });
  results["scan, a row (toArray)"] = measure(10000, (i) => (seen += some(i).toArray().length));
  results["a page of 1000 by scan"] = measure(5, (i) => {
    for (let n = 0; n < 5; n++) seen += db.scan("", { startAfter: asked[i + n], limit: 1000 }).toArray().length;
  });
  results["a page of up to 1000 by list"] = measure(5, (i) => {
    for (let n = 0; n < 5; n++) seen += db.list(directoryOf(asked[i + n]), { limit: 1000 }).toArray().length;
  });
  results["renamePrefix of a tenant, there and back"] = mean(2, () => {
    db.renamePrefix("tenant-050/", "moved/");
    db.renamePrefix("moved/", "tenant-050/");
  });
  results["remove"] = mean(asked.length, () => asked.forEach((path) => db.remove(path)));
  db.close();
  return results;
}

init().then(
  () => {
    measureOne(20000);
    const counts = [100000, 1000000];
    globalThis.result = JSON.stringify({ counts, results: counts.map(measureOne) });
  },
  (error) => (globalThis.result = `failed: ${error.stack}`),
);
