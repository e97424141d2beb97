// The package in Node.js: all tests of the face, loading, and that what is forgotten is given back.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import * as spinney from "spinney";
import * as inline from "spinney/inline";
import { runAll } from "./harness.mjs";

const { Spinney, SpinneyError, init } = spinney;

// Ready without anything; and init does no harm.
const db = Spinney.memory();
await init();
await init();
db.put("a", "1");
assert.equal(db.getText("a"), "1");
db.close();

const { passed, failed } = runAll(Spinney);
assert.deepEqual(failed, []);
console.log(`${passed} tests passed`);

// The two entries have the same names; what is thrown is of the class that is exported.
assert.deepEqual(Object.keys(inline).sort(), Object.keys(spinney).sort());
assert.throws(() => Spinney.memory().tree(""), SpinneyError);

// What only browsers have is refused with a code.
for (const ask of [() => Spinney.openOpfs("a"), () => Spinney.openWorker("a"), () => Spinney.listOpfs()]) {
  await assert.rejects(ask, { name: "SpinneyError", code: "NotSupported" });
}

// The wasm can be had by its name.
const bytes = readFileSync(createRequire(import.meta.url).resolve("spinney/spinney.wasm"));
assert.ok(WebAssembly.validate(bytes));

// Databases, trees, batches, snapshots and iterators that are dropped give back what they hold.
const held = Spinney.memory();
for (let i = 0; i < 2000; i++) held.put(`key-${i}`, "x".repeat(50));
for (let round = 0; round < 60; round++) {
  for (let i = 0; i < 20; i++) {
    const lost = Spinney.memory();
    lost.put("a", "1");
    lost.tree("b").put("c", "2");
    held.scan().next();
    held.snapshot().scan().next();
    held.batch().put(held, "d", "3");
  }
  // Finalizers run between two tasks.
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve));
}
globalThis.gc();
await new Promise((resolve) => setTimeout(resolve, 20));
assert.ok(held.stats().openSnapshots <= 20, `${held.stats().openSnapshots} snapshots are open`);
// 1,200 databases have a megabyte each.
const megabytes = process.memoryUsage().arrayBuffers / 2 ** 20 + process.memoryUsage().external / 2 ** 20;
assert.ok(megabytes < 400, `${megabytes} MB are in use`);

// But not what an iterator still reads.
const orphan = held.snapshot().scan();
const ofTree = held.snapshot().tree("default").scan();
for (let i = 0; i < 5; i++) {
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 5));
}
assert.equal(orphan.toArray().length, 2000);
assert.equal(ofTree.toArray().length, 2000);
held.close();
console.log("what is forgotten is given back");
