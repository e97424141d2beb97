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

// Microseconds for each of `count`: the best of some runs, since a machine is mostly busy with other work, too.
function measure(count, run, runs = 5) {
  const times = [];
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    run();
    times.push(((performance.now() - start) * 1000) / count);
  }
  return Math.min(...times);
}

function measureOne(count) {
  const paths = shuffled(Array.from({ length: count }, (_, number) => pathOf(number)));
  const value = Uint8Array.from({ length: VALUE_BYTES }, (_, i) => i);
  const db = Spinney.memory();
  const results = {};
  results["put, random order"] = measure(count, () => paths.forEach((path) => db.put(path, value)), 1);
  const stats = db.stats();
  const raw = paths.reduce((sum, path) => sum + path.length, 0) / count + VALUE_BYTES;
  results["bytes a path in memory"] = (stats.totalBlobs * 512 * 1024) / count;
  results["bytes a path, key and value"] = raw;
  const asked = shuffled(paths.slice()).slice(0, 100000);
  const target = new Uint8Array(VALUE_BYTES);
  let seen = 0;
  results["getInto"] = measure(asked.length, () => {
    for (const path of asked) seen += db.getInto(path, target);
  });
  results["get"] = measure(asked.length, () => {
    for (const path of asked) seen += db.get(path).length;
  });
  results["getText"] = measure(asked.length, () => {
    for (const path of asked) seen += db.getText(path).length;
  });
  results["get, a miss"] = measure(asked.length, () => {
    for (const path of asked) seen += db.get(`${path}x`) === undefined ? 1 : 0;
  });
  results["getMany of 100, each"] = measure(asked.length, () => {
    for (let i = 0; i < asked.length; i += 100) seen += db.getMany(asked.slice(i, i + 100)).length;
  });
  results["overwrite"] = measure(asked.length, () => {
    for (const path of asked) seen += db.put(path, value);
  });
  const directories = [...new Set(asked.map((path) => path.slice(0, path.lastIndexOf("/") + 1)))].slice(0, 500);
  let children = 0;
  for (const directory of directories) children += db.list(directory).toArray().length;
  results["list, a child (with keys)"] = measure(children, () => {
    for (const directory of directories) for (const { key } of db.list(directory)) seen += key.length;
  });
  results["list without values, a child"] = measure(children, () => {
    for (const directory of directories) {
      for (const { key } of db.list(directory, { values: false })) seen += key.length;
    }
  });
  results["children of a directory"] = children / directories.length;
  results["list of subdirectories, a child"] = measure(97 * 20, () => {
    for (let i = 0; i < 20; i++) for (const { key } of db.list("")) seen += key.length;
  });
  results["scan, a row (keys)"] = measure(count, () => {
    for (const { key } of db.scan("")) seen += key.length;
  });
  results["scan, a row (keys and values)"] = measure(count, () => {
    for (const { key, value } of db.scan("")) seen += key.length + value.length;
  });
  results["scan, a row (toArray)"] = measure(count, () => (seen += db.scan("").toArray().length), 3);
  results["a page of 1000 by scan, whole"] = measure(100, () => {
    for (let i = 0; i < 100; i++) seen += db.scan("", { startAfter: asked[i], limit: 1000 }).toArray().length;
  });
  results["a page of 1000 by list, whole"] = measure(100, () => {
    for (let i = 0; i < 100; i++) {
      const path = asked[i];
      const directory = path.slice(0, path.lastIndexOf("/") + 1);
      seen += db.list(directory, { limit: 1000 }).toArray().length;
    }
  });
  results["renamePrefix of a tenant, there and back"] = measure(2, () => {
    db.renamePrefix("tenant-050/", "moved/");
    db.renamePrefix("moved/", "tenant-050/");
  });
  results["remove"] = measure(asked.length, () => {
    for (const path of asked) seen += db.remove(path);
  }, 1);
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
