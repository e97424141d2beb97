// Tests of databases in files of the site, in a dedicated worker. Import maps do not reach into workers.

import { init, Spinney, SpinneyError } from "/node_modules/spinney/index.js";
import { equal, refuses, same, settled } from "./opfs_assert.js";

const root = await navigator.storage.getDirectory();

async function filesOf(name) {
  const names = [];
  for await (const file of root.keys()) if (file.startsWith(name)) names.push(file);
  return names.sort();
}

// xorshift32.
let state = 0x2545f491;
function random(end) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % end;
}

async function opensAndCloses() {
  equal(await Spinney.listOpfs(), []);
  const db = await Spinney.openOpfs("basics");
  db.put("photos/a.jpg", "sea");
  equal(db.stats().unsyncedBytes, 0, "a write is durable when it returns");
  equal(await filesOf("basics"), ["basics.spinney", "basics.spinney-journal", "basics.spinney-log"]);
  const closing = db.close();
  await refuses("Closed", () => db.get("photos/a.jpg"));
  equal(db.close(), closing, "closing twice is the same");
  await closing;
  const sizes = async (name) => (await (await root.getFileHandle(name)).getFile()).size;
  // A browser may forget a name that it was told last: so those of a log are not made anew each time.
  equal(await filesOf("basics"), ["basics.spinney", "basics.spinney-journal", "basics.spinney-log"]);
  equal([await sizes("basics.spinney-journal"), await sizes("basics.spinney-log")], [0, 0], "all is in one file");
  equal(await Spinney.listOpfs(), ["basics"]);
  const again = await Spinney.openOpfs("basics", { create: false });
  equal(again.getText("photos/a.jpg"), "sea");
  equal(again instanceof Spinney, true);
  await again.close();
  equal(await Spinney.deleteOpfs("basics"), true);
  equal(await Spinney.deleteOpfs("basics"), false);
  equal(await filesOf("basics"), []);
}

async function refusesWhatIsWrong() {
  for (const name of ["", "a/b", "a\\b", ".", "..", "a\n", "x".repeat(101), 5, undefined]) {
    await refuses("InvalidArgument", () => Spinney.openOpfs(name));
  }
  for (const options of [{ durability: "none" }, { cacheBytes: -1 }, { create: 1 }, { waitMs: "5" }, 5, null]) {
    await refuses("InvalidArgument", () => Spinney.openOpfs("wrong", options));
  }
  await refuses("NotFound", () => Spinney.openOpfs("wrong", { create: false }));
  await refuses("NotFound", () => Spinney.openOpfs("wrong", { readOnly: true }));
  equal(await filesOf("wrong"), []);
  const db = await Spinney.openOpfs("wrong");
  await refuses("InvalidArgument", () => db.withDurability("never"));
  await refuses("Locked", () => Spinney.openOpfs("wrong"));
  await refuses("Locked", () => Spinney.deleteOpfs("wrong"));
  await refuses("Locked", () => Spinney.importOpfs("wrong", new Uint8Array(8)));
  const waiting = Spinney.openOpfs("wrong", { waitMs: 5000 });
  await db.close();
  await (await waiting).close();
  const start = performance.now();
  const blocker = await Spinney.openOpfs("wrong");
  await refuses("Locked", () => Spinney.openOpfs("wrong", { waitMs: 100 }));
  equal(performance.now() - start > 90, true, "it has waited");
  await blocker.close();
  await Spinney.deleteOpfs("wrong");
}

/** What was acknowledged may be in a log whose database is somewhere else for now: nobody throws that away. */
async function keepsTheLogOfAMissingDatabase() {
  const names = ["lost.spinney", "lost.spinney-log", "lost.spinney-journal"];
  const bytesOf = async (name) => (await (await root.getFileHandle(name)).getFile()).arrayBuffer();
  const write = async (name, bytes) => {
    const handle = await (await root.getFileHandle(name, { create: true })).createSyncAccessHandle();
    handle.write(new Uint8Array(bytes), { at: 0 });
    handle.close();
  };
  const db = await Spinney.openOpfs("lost", { durability: "sync" });
  db.put("a", "1");
  // As a tab leaves them that is killed now.
  const [data, log, journal] = await Promise.all(names.map(bytesOf));
  await db.close();
  await Spinney.deleteOpfs("lost");
  await write(names[1], log);
  const logBytes = async () => (await bytesOf(names[1])).byteLength;
  await refuses("NotFound", () => Spinney.openOpfs("lost", { create: false }));
  await refuses("NotFound", () => Spinney.openOpfs("lost", { readOnly: true }));
  await refuses("NotSpinney", () => Spinney.openOpfs("lost"));
  equal(await logBytes(), log.byteLength, "the log is as it was");
  await write(names[2], journal);
  await write(names[0], data);
  const again = await Spinney.openOpfs("lost");
  equal(again.getText("a"), "1", "and with its database it has what was acknowledged");
  await again.close();
  await Spinney.deleteOpfs("lost");
}

async function writesInTheBackground() {
  const db = await Spinney.openOpfs("later", { durability: "buffered", cacheBytes: 1 << 20 });
  const { checkpoints } = db.stats();
  db.put("a", "1");
  equal(db.stats().unsyncedBytes > 0, true, "a buffered write is not yet durable");
  await settled(() => db.stats().unsyncedBytes === 0, 500, "a buffered write is durable soon");
  db.put("b", "2");
  db.sync();
  equal(db.stats().unsyncedBytes, 0);
  db.withDurability("sync").put("c", "3");
  equal(db.stats().unsyncedBytes, 0);
  db.batch().put(db, "d", "4").durability("sync").commit();
  equal(db.stats().unsyncedBytes, 0);
  db.batch().put(db, "e", "5").commit();
  db.transact((tx) => tx.put(db, "f", "6"));
  equal(db.stats().unsyncedBytes > 0, true);
  equal(db.stats().checkpoints, checkpoints, "nothing was checkpointed yet");
  await settled(() => db.stats().checkpoints > checkpoints, 3000, "who is idle makes a checkpoint");
  // Much at once, without a moment for the timer: writes wait where they have to.
  for (let i = 0; i < 20000; i++) db.put(`much/${random(1e9)}`, "x".repeat(1000));
  equal(db.count("much/") > 19990, true);
  equal(db.stats().checkpoints > checkpoints + 1, true, "limits are kept without a timer");
  await db.close();
  const again = await Spinney.openOpfs("later", { readOnly: true });
  equal(again.count("much/") > 19990, true);
  equal(again.check().isClean, true);
  await refuses("ReadOnly", () => again.put("a", "2"));
  await again.close();
  await Spinney.deleteOpfs("later");
}

/** The same calls on a database and on a Map, with closing and opening in between. */
async function agreesWithAMap() {
  const model = new Map();
  const options = () => ({ durability: random(2) ? "sync" : "buffered", cacheBytes: 1 << 20, logBytes: 8 << 20 });
  let db = await Spinney.openOpfs("model", options());
  const name = () => `${"abc"[random(3)]}/${random(30)}/${random(200)}`;
  const move = (from, to) => {
    const moved = [...model].filter(([key]) => key.startsWith(from));
    if (moved.length === 0 || [...model.keys()].some((key) => key.startsWith(to))) return;
    equal(db.renamePrefix(from, to), true);
    for (const [key, value] of moved) {
      model.delete(key);
      model.set(to + key.slice(from.length), value);
    }
  };
  const steps = [
    () => { const [key, value] = [name(), "v".repeat(random(2000)) + random(1e6)]; db.put(key, value); model.set(key, value); },
    () => { const key = name(); equal(db.remove(key), model.delete(key)); },
    () => { const key = name(); equal(db.getText(key), model.get(key)); },
    () => {
      const keys = [name(), name(), name()];
      const batch = db.batch();
      for (const key of keys) batch.put(db, key, "batch"), model.set(key, "batch");
      batch.commit();
    },
    () => {
      const key = name();
      db.transact((tx) => tx.put(db, key, `${tx.getText(db, key) ?? ""}+`));
      model.set(key, `${model.get(key) ?? ""}+`);
    },
  ];
  const rare = [
    () => move(`a/${random(30)}/`, `moved/${random(1000)}/`),
    () => move(`moved/`, `b/moved${random(1000)}/`),
    () => {
      const prefix = `c/${random(30)}/`;
      const removed = [...model.keys()].filter((key) => key.startsWith(prefix));
      equal(db.removePrefix(prefix), removed.length > 0);
      for (const key of removed) model.delete(key);
    },
    () => { const key = name(), value = "L".repeat(70000 + random(200000)); db.put(key, value); model.set(key, value); },
    () => { const [key, value] = [name(), "buffered"]; db.withDurability("buffered").put(key, value); model.set(key, value); },
    () => db.checkpoint(),
  ];
  let opened = 0;
  for (let step = 1; step <= 6000; step++) {
    (random(40) === 0 ? rare[random(rare.length)] : steps[random(steps.length)])();
    if (step % 1000 === 0) {
      if (random(2)) equal(db.check().isClean, true);
      await db.close();
      db = await Spinney.openOpfs("model", options());
      opened += 1;
      const sorted = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
      same(Array.from(db.scan(), (entry) => [entry.key, entry.text]), sorted, `after step ${step}`);
    }
  }
  equal(opened, 6);
  await db.close();
  await Spinney.deleteOpfs("model");
}

async function importsAndExports() {
  const made = Spinney.memory();
  for (let i = 0; i < 20000; i++) made.put(`tenant-${i % 40}/${i}`, `${i} `.repeat(i % 30));
  const image = made.image();
  const sources = {
    bytes: image,
    buffer: image.buffer,
    file: new File([image], "x.spinney"),
    stream: new Blob([image]).stream(),
  };
  for (const [name, source] of Object.entries(sources)) {
    await Spinney.importOpfs(name, source);
    equal(await filesOf(name), [`${name}.spinney`]);
    const db = await Spinney.openOpfs(name);
    equal(db.count(), 20000);
    equal(db.stats().rangeBlobs, made.stats().rangeBlobs);
    equal(db.getText("tenant-39/19999"), "19999 ".repeat(19999 % 30));
    same(Array.from(db.image().subarray(1 << 19)), Array.from(image.subarray(1 << 19)), "the same blobs");
    await db.close();
    await refuses("TargetExists", () => Spinney.importOpfs(name, source instanceof ReadableStream ? image : source));
  }
  // Who is refused before anything was read has the stream still.
  const kept = new Blob([image]).stream();
  await refuses("TargetExists", () => Spinney.importOpfs("bytes", kept));
  equal(kept.locked, false);
  await Spinney.importOpfs("kept", kept);
  await Spinney.deleteOpfs("kept");
  equal(await Spinney.listOpfs(), ["buffer", "bytes", "file", "stream"]);
  for (const name of Object.keys(sources)) await Spinney.deleteOpfs(name);
  await refuses("InvalidArgument", () => Spinney.importOpfs("bad", "text"));
  await refuses("NotSpinney", () => Spinney.importOpfs("bad", new Uint8Array(1 << 20)));
  await refuses("NotSpinney", () => Spinney.importOpfs("bad", new Uint8Array(0)));
  await refuses("Truncated", () => Spinney.importOpfs("bad", image.subarray(0, image.length - 4096)));
  const damaged = image.slice();
  damaged[9000] ^= 1;
  await refuses("Corrupt", () => Spinney.importOpfs("bad", damaged));
  equal(await filesOf("bad"), []);
  made.close();
}

/** Everything that a page can come back to is there in one worker, too: another database beside it. */
async function severalAreOpenAtOnce() {
  const names = ["one", "two", "three"];
  const open = await Promise.all(names.map((name) => Spinney.openOpfs(name)));
  for (let i = 0; i < 300; i++) open[i % 3].put(`${i}`, names[i % 3]);
  await open[1].close();
  const two = await Spinney.openOpfs("two");
  for (const db of [open[0], two, open[2]]) equal(db.count(), 100);
  await Promise.all([open[0], two, open[2]].map((db) => db.close()));
  for (const name of names) await Spinney.deleteOpfs(name);
}

const tests = [
  opensAndCloses, refusesWhatIsWrong, keepsTheLogOfAMissingDatabase, writesInTheBackground, agreesWithAMap,
  importsAndExports, severalAreOpenAtOnce,
];

async function run() {
  await init();
  await refuses("NotSupported", async () => {
    throw new SpinneyError("NotSupported", "the class is the one that is exported");
  });
  const failed = [];
  for (const test of tests) {
    const start = performance.now();
    try {
      await test();
    } catch (error) {
      failed.push(`${test.name}: ${error.stack}`);
    }
    console.log(`${test.name} ${Math.round(performance.now() - start)} ms`);
  }
  return { passed: tests.length - failed.length, failed };
}

run().then(
  (result) => postMessage(JSON.stringify(result)),
  (error) => postMessage(JSON.stringify({ passed: 0, failed: [String(error.stack)] })),
);
