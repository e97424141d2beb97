// Measures databases in files of the site in one worker, and SQLite beside them: paths as object stores have
// them, values of 100 bytes. Times are microseconds for each, but where a name says otherwise.

import { init, Spinney } from "/node_modules/spinney/index.js";

const VALUE_BYTES = 100;
const DURABLE = 200;
const BUFFERED = 5000;
const PATHS = 100000;
const ROUNDS = 9;

const pathOf = (number) => {
  const tenant = String(number % 97).padStart(3, "0");
  const folder = ["photos", "documents", "backup/daily", "exports"][number % 4];
  return `tenant-${tenant}/${folder}/2026/${String(1 + (number % 12)).padStart(2, "0")}/object-${number}.jpg`;
};
const value = Uint8Array.from({ length: VALUE_BYTES }, (_, i) => i);
const shuffled = (number) => Math.imul(number, 7919) % PATHS >>> 0;

function each(count, run) {
  const start = performance.now();
  for (let i = 0; i < count; i++) run(i);
  return ((performance.now() - start) * 1000) / count;
}

const middle = (times) => times.sort((a, b) => a - b)[times.length >> 1];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the browser itself takes to write and flush a page. */
async function bare() {
  const root = await navigator.storage.getDirectory();
  const handle = await (await root.getFileHandle("bare", { create: true })).createSyncAccessHandle();
  handle.write(new Uint8Array(DURABLE * ROUNDS * 4096), { at: 0 });
  handle.flush();
  const page = new Uint8Array(4096).fill(1);
  return {
    durable(number) {
      handle.write(page, { at: number * 4096 });
      handle.flush();
    },
    async end() {
      handle.close();
      await root.removeEntry("bare");
    },
  };
}

async function spinney() {
  await Spinney.deleteOpfs("bench");
  const db = await Spinney.openOpfs("bench");
  const buffered = db.withDurability("buffered");
  return {
    db,
    durable: (number) => db.put(pathOf(number), value),
    fast: (number) => buffered.put(pathOf(shuffled(number)), value),
    sync: () => db.sync(),
  };
}

async function sqlite() {
  const { default: start } = await import("/node_modules/@sqlite.org/sqlite-wasm/dist/index.mjs");
  const sqlite3 = await start({ print: () => {}, printErr: () => {} });
  const pool = await sqlite3.installOpfsSAHPoolVfs({ clearOnInit: true });
  const db = new pool.OpfsSAHPoolDb("/bench.sqlite");
  // Without shared memory there is a log only for one connection alone.
  db.exec("pragma locking_mode=exclusive; pragma journal_mode=wal; pragma synchronous=full");
  if (db.selectValue("pragma journal_mode") !== "wal") throw new Error("it has no log");
  db.exec("create table files (path text primary key, value blob) without rowid");
  const put = db.prepare("insert or replace into files values (?, ?)");
  const run = (path) => put.bind([path, value]).stepReset();
  return {
    durable: (number) => run(pathOf(number)),
    fast: (number) => run(pathOf(shuffled(number))),
    setFast: (isFast) => db.exec(`pragma synchronous=${isFast ? "off" : "full"}`),
    fill() {
      db.exec("begin");
      for (let i = 0; i < PATHS; i++) run(pathOf(i));
      db.exec("commit");
    },
    reopen() {
      put.finalize();
      db.close();
      const start = performance.now();
      const again = new pool.OpfsSAHPoolDb("/bench.sqlite");
      again.exec("pragma locking_mode=exclusive");
      const range = "path >= 'tenant-042/photos/2026/' and path < 'tenant-042/photos/20260'";
      const found = again.selectValues(`select path from files where ${range} limit 1000`);
      const took = performance.now() - start;
      if (found.length === 0) throw new Error("nothing was listed");
      again.close();
      return took;
    },
    end: () => pool.removeVfs(),
  };
}

async function reopen(db, results) {
  const start = performance.now();
  await db.close();
  results["spinney: close, ms"] = performance.now() - start;
  const reopened = performance.now();
  const again = await Spinney.openOpfs("bench");
  results["spinney: open 100,000 paths, ms"] = performance.now() - reopened;
  const listed = again.list("tenant-042/photos/2026/").toArray().length;
  results["spinney: open and a first list, ms"] = performance.now() - reopened;
  if (listed === 0 || again.count("tenant-") < PATHS) throw new Error(`${listed} entries, ${again.count("tenant-")} paths`);
  results["spinney: get, all cold"] = each(2000, (i) => again.get(pathOf(shuffled(i))));
  results["spinney: get, warm"] = each(2000, (i) => again.get(pathOf(shuffled(i))));
  await again.close();
  await Spinney.deleteOpfs("bench");
}

async function run({ beside }) {
  await init();
  const results = {};
  const [hand, ours, theirs] = [await bare(), await spinney(), beside ? await sqlite() : undefined];
  const times = { hand: [], ours: [], theirs: [], oursFast: [], theirsFast: [] };
  // In turns, because the machine has other work, too.
  for (let round = 0; round < ROUNDS; round++) {
    const at = (i) => round * DURABLE + i;
    times.hand.push(each(DURABLE, (i) => hand.durable(at(i))));
    times.ours.push(each(DURABLE, (i) => ours.durable(at(i))));
    if (theirs) times.theirs.push(each(DURABLE, (i) => theirs.durable(at(i))));
  }
  ours.db.checkpoint();
  theirs?.setFast(true);
  for (let round = 0; round < ROUNDS; round++) {
    times.oursFast.push(each(BUFFERED, (i) => ours.fast(round * BUFFERED + i)));
    if (theirs) times.theirsFast.push(each(BUFFERED / 10, (i) => theirs.fast(round * BUFFERED + i)));
    ours.sync();
    await pause(20);
  }
  results["a page written and flushed, by hand"] = middle(times.hand);
  results["spinney: put, durable"] = middle(times.ours);
  if (theirs) results["sqlite, SAH pool, WAL: put, durable"] = middle(times.theirs);
  results["spinney: put, buffered"] = middle(times.oursFast);
  if (theirs) results["sqlite, SAH pool, WAL: put, synchronous=off"] = middle(times.theirsFast);
  for (let i = 0; i < PATHS; i++) ours.fast(i);
  const waits = Array.from({ length: 20000 }, (_, i) => each(1, () => ours.fast(i))).sort((a, b) => a - b);
  results["spinney: put, buffered, the longest of 20,000"] = waits.at(-1);
  const start = performance.now();
  ours.db.checkpoint();
  results["spinney: a checkpoint, ms"] = performance.now() - start;
  await reopen(ours.db, results);
  if (theirs) {
    theirs.fill();
    results["sqlite: open and a first list, ms"] = theirs.reopen();
    await theirs.end();
  }
  await hand.end();
  return results;
}

onmessage = ({ data }) => {
  run(data).then((results) => postMessage({ results }), (error) => postMessage({ failed: String(error.stack ?? error) }));
};
