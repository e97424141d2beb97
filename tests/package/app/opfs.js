// A database in a worker, as the main thread has it; and the tests that run in a worker themselves.

import { Spinney, SpinneyClient, SpinneyError } from "spinney";
import { equal, refuses, same } from "./opfs_assert.js";

async function inWorker() {
  const worker = new Worker("/app/opfs_worker.js", { type: "module" });
  const text = await new Promise((resolve, reject) => {
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => reject(new Error(event.message ?? "the worker could not be loaded"));
  });
  worker.terminate();
  return JSON.parse(text);
}

async function hasTheSameFace() {
  await refuses("NotInitialized", () => Spinney.openOpfs("main"));
  const db = await Spinney.openWorker("face");
  equal(db instanceof SpinneyClient, true);
  equal(await db.put("photos/a.jpg", "sea") > 0, true);
  equal(await db.putIfAbsent("photos/a.jpg", "no"), undefined);
  const { text, version } = await db.getEntry("photos/a.jpg");
  equal(text, "sea");
  equal(await db.compareAndPut("photos/a.jpg", version + 9, "no"), undefined);
  equal(await db.compareAndPut("photos/a.jpg", version, "tide") > version, true);
  equal(await db.getText("photos/a.jpg"), "tide");
  equal(Array.from(await db.get("photos/a.jpg")), Array.from(new TextEncoder().encode("tide")));
  equal(await db.get("none"), undefined);
  equal(await db.contains("photos/a.jpg"), true);
  equal(await db.rename("photos/a.jpg", "photos/b.jpg"), true);
  equal(await db.remove("none"), false);
  await Promise.all(Array.from({ length: 1000 }, (_, i) => db.put(`many/${i % 10}/${i}`, `${i}`)));
  equal(await db.count("many/"), 1000);
  equal(await db.renamePrefix("many/3/", "moved/"), true);
  equal(await db.removePrefix("many/4/"), true);
  equal((await db.longestPrefix("moved/13/x"))?.key, "moved/13");
  const values = await db.getMany(["moved/13", "none", new TextEncoder().encode("moved/23")]);
  equal(values.map((value) => value && new TextDecoder().decode(value)), ["13", undefined, "23"]);
  const files = db.tree("files");
  equal(await db.batch().put(files, "x", "1").expectAbsent(db, "y").put(db, "z", new Uint8Array(2)).commit().then(
    (versions) => versions.map((each) => each !== undefined)), [true, false, true]);
  equal(await db.trees(), ["default", "files"]);
  equal(await db.renameTree("files", "other"), true);
  equal(await db.tree("other").getText("x"), "1");
  equal(await db.dropTree("other"), true);
  equal((await db.stats()).keys > 800, true);
  equal((await db.check()).isClean, true);
  await db.withDurability("buffered").put("soon", "1");
  await db.sync();
  equal((await db.stats()).unsyncedBytes, 0);
  await db.checkpoint();
  const image = await db.image();
  equal(image.length % (512 << 10), 0);
  await db.close();
  await db.close();
  await refuses("Closed", () => db.get("a"));
  const again = await Spinney.openWorker("face", { create: false });
  equal(await again.count("moved/"), 100);
  await again.close();
  equal(await Spinney.deleteOpfs("face"), true);
}

async function iterates() {
  const db = await Spinney.openWorker("iterate", { durability: "buffered" });
  const keys = Array.from({ length: 3000 }, (_, i) => `${String(i).padStart(4, "0")}`);
  await Promise.all(keys.map((key) => db.put(key, key.repeat(20))));
  const found = [];
  for await (const { key, text, version } of db.scan()) {
    found.push(key);
    equal(text, key === "9999x" ? "beside" : key.repeat(20));
    equal(typeof version, "number");
    if (key === "0007") await db.put("9999x", "beside");
  }
  same(found, [...keys, "9999x"], "all keys");
  const few = [];
  for await (const { key, value } of db.scan("", { reverse: true, values: false, startAfter: "0100" })) {
    equal(value, undefined);
    few.push(key);
    if (few.length === 3) break;
  }
  equal(few, ["0099", "0098", "0097"]);
  await db.put("d/1/a", "1");
  await db.put("d/2", "");
  const listed = [];
  for await (const { key, isPrefix, text } of db.list("d/")) listed.push([key, isPrefix, text]);
  equal(listed, [["d/1/", true, undefined], ["d/2", false, ""]]);
  await refuses("InvalidArgument", async () => {
    for await (const entry of db.scan("", { limit: -1 })) throw new Error(entry.key);
  });
  await db.close();
  await Spinney.deleteOpfs("iterate");
}

async function tellsErrors() {
  const db = await Spinney.openWorker("errors");
  const error = await refuses("KeyTooLong", () => db.put("x".repeat(70000), "1"));
  equal([error.lengthBytes, error.limitBytes], [70000, 65000]);
  equal(error.name, "SpinneyError");
  await refuses("InvalidArgument", () => db.put(() => {}, "1"));
  await refuses("InvalidArgument", () => db.put("a", 5));
  await refuses("TargetExists", async () => {
    await Promise.all([db.put("a", "1"), db.put("b", "1")]);
    await db.rename("a", "b");
  });
  const refused = await refuses("BatchRefused", () => db.batch().put(db, "c", "1").expectAbsent(db, "a").commit());
  equal(refused.index, 1);
  equal(await db.contains("c"), false);
  await refuses("InvalidArgument", async () => db.batch().put({}, "c", "1"));
  const batch = db.batch().put(db, "d", "1");
  const committed = batch.commit();
  batch.put(db, "e", "1");
  equal((await committed).length, 1);
  equal(batch.length, 1, "what was added meanwhile is still to be committed");
  equal(await db.contains("e"), false);
  // Of commits that fail together the steps come back in their order: the last one counts.
  const twice = db.batch().expectAbsent(db, "a").put(db, "last", "1");
  const first = twice.commit();
  const second = twice.expectAbsent(db, "a").put(db, "last", "2").commit();
  equal((await Promise.allSettled([first, second])).map(({ reason }) => reason?.code), ["BatchRefused", "BatchRefused"]);
  equal(twice.length, 4);
  await db.remove("a");
  await twice.commit();
  equal(await db.getText("last"), "2");
  for (const keys of [undefined, 5, {}, "text", new Uint8Array(1)]) {
    await refuses("InvalidArgument", () => db.getMany(keys));
  }
  await refuses("Locked", () => Spinney.openWorker("errors"));
  await refuses("InvalidArgument", () => Spinney.openWorker("a/b"));
  // One that fails does not hold up those beside it.
  const all = await Promise.allSettled([db.put("p", "1"), db.put("x".repeat(70000), "1"), db.getText("p")]);
  equal(all.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  equal(all[2].value, "1");
  await db.close();
  await Spinney.deleteOpfs("errors");
}

async function survivesItsWorker() {
  const worker = new Worker("/app/own_worker.js", { type: "module" });
  const db = await Spinney.openWorker("own", { worker });
  const beside = await Spinney.openWorker("beside", { worker });
  await db.put("a", "1");
  await beside.put("b", "2");
  await beside.close();
  equal(await db.getText("a"), "1", "closing one leaves the worker to the other");
  // Something of the user's own in it has failed: the database has nothing to do with that.
  worker.dispatchEvent(new ErrorEvent("error", { message: "unrelated" }));
  await db.put("view", new Uint8Array(100).fill(7).subarray(5, 8));
  equal(Array.from(await db.get("view")), [7, 7, 7]);
  const asked = [db.put("c", "3"), db.image(), db.check()];
  worker.terminate();
  const outcomes = await Promise.allSettled(asked);
  for (const { status, reason } of outcomes) {
    equal(status === "fulfilled" || (reason instanceof SpinneyError && reason.code === "WorkerDied"), true);
  }
  await refuses("WorkerDied", () => db.get("a"));
  const again = await Spinney.openWorker("own", { waitMs: 5000 });
  equal(await again.getText("a"), "1", "what was acknowledged is there");
  equal((await again.check()).isClean, true);
  await again.close();
  await refuses("WorkerDied", () => Spinney.openWorker("lost", { worker: new Worker("/app/none.js") }));
  for (const name of ["own", "beside"]) await Spinney.deleteOpfs(name);
}

// What a batch of a database in this thread says, one in a worker says too, though the worker syncs for many.
async function tellsWhatIsNotKnown() {
  const worker = new Worker("/app/own_worker.js", { type: "module" });
  const db = await Spinney.openWorker("broken", { worker });
  await db.put("a", "1");
  const broken = new Promise((resolve) => worker.addEventListener("message", ({ data }) => data === "broken" && resolve()));
  worker.postMessage("no flush");
  await broken;
  const batch = db.batch().put(db, "c", "3").put(db, "d", "4").commit();
  const write = db.put("b", "2").then(() => undefined, ({ code }) => code);
  const unknown = await refuses("OutcomeUnknown", () => batch);
  equal(unknown.reason.includes("the disk is broken"), true, unknown.message);
  equal((await write) === "OutcomeUnknown", false, "a single write says what has failed");
  equal((await write) === undefined, false, "a write that is not durable is refused");
  equal(await db.getText("a"), "1", "reads go on");
  await refuses("Poisoned", () => db.put("e", "5"));
  worker.terminate();
  await refuses("WorkerDied", () => db.get("a"));
  const again = await Spinney.openWorker("broken", { waitMs: 5000 });
  equal(await again.getText("a"), "1");
  equal(await again.contains("c"), await again.contains("d"), "all of the batch or nothing");
  await again.close();
  await Spinney.deleteOpfs("broken");
}

// A worker may only come from the origin of the page.
async function tellsThatAWorkerIsRefused() {
  const { Worker } = globalThis;
  globalThis.Worker = function () {
    throw new DOMException("another origin", "SecurityError");
  };
  try {
    const error = await refuses("NotSupported", () => Spinney.openWorker("refused"));
    equal(error.message.includes("another origin"), true);
  } finally {
    globalThis.Worker = Worker;
  }
}

// What is put into a batch may be used again at once, whatever kind of bytes it is.
async function copiesWhatABatchTakes() {
  // As the Buffer of Node.js, which bundlers bring along: its slice is no copy.
  class Bytes extends Uint8Array {
    slice(start, end) {
      return this.subarray(start, end);
    }
  }
  const db = await Spinney.openWorker("copies");
  const bytes = Bytes.of(1, 2, 3);
  const batch = db.batch().put(db, "a", bytes);
  bytes.fill(9);
  await batch.commit();
  equal(Array.from(await db.get("a")), [1, 2, 3]);
  await db.close();
  await Spinney.deleteOpfs("copies");
}

const tests = [
  hasTheSameFace, iterates, tellsErrors, survivesItsWorker, tellsWhatIsNotKnown, tellsThatAWorkerIsRefused,
  copiesWhatABatchTakes,
];

async function run() {
  const failed = [];
  let passed = 0;
  for (const test of tests) {
    const start = performance.now();
    try {
      await test();
      passed += 1;
    } catch (error) {
      failed.push(`${test.name}: ${error.stack}`);
    }
    console.log(`${test.name} ${Math.round(performance.now() - start)} ms`);
  }
  if (failed.length === 0) equal(await Spinney.listOpfs(), [], "nothing is left");
  const worked = await inWorker();
  return { passed: passed + worked.passed, failed: [...failed, ...worked.failed] };
}

run().then(
  (result) => (globalThis.result = JSON.stringify(result)),
  (error) => (globalThis.result = JSON.stringify({ passed: 0, failed: [String(error.stack)] })),
);
