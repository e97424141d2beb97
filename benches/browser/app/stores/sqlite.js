// SQLite as its own project builds it for browsers: in memory, and in its pool of files of the site with a
// write-ahead log. The paths are the primary key of a table that is nothing but the index of it; every
// statement is prepared once.

import { endOf } from "../paths.js";

let sqlite3;
let pool;

/** Loads the module. */
export async function load() {
  if (sqlite3) return;
  const { default: start } = await import("/node_modules/@sqlite.org/sqlite-wasm/dist/index.mjs");
  sqlite3 = await start({ print: () => {}, printErr: () => {} });
}

function statements(db) {
  const made = [];
  const prepare = (text) => {
    const statement = db.prepare(text);
    made.push(statement);
    return statement;
  };
  const put = prepare("insert or replace into files values (?, ?)");
  const get = prepare("select value from files where path = ?");
  const between = prepare("select path from files where path >= ? and path < ? order by path");
  const keys = prepare("select path from files where path > ? order by path limit ?");
  const rows = prepare("select path, value from files where path > ? order by path limit ?");

  function bytes(path) {
    get.bind([path]).step();
    const value = get.get(0);
    get.reset();
    return value;
  }

  return {
    put: (path, value) => put.bind([path, value]).stepReset(),
    get: (path) => bytes(path).length,
    bytes,
    // Reads on from row to row, and seeks where a directory ends.
    list(prefix, see) {
      const end = prefix === "" ? "\u{10ffff}" : endOf(prefix);
      between.bind([prefix, end]);
      while (between.step()) {
        const path = between.get(0);
        const slash = path.indexOf("/", prefix.length);
        if (slash < 0) {
          see(path);
        } else {
          const directory = path.slice(0, slash + 1);
          see(directory);
          between.reset().bind([endOf(directory), end]);
        }
      }
      between.reset();
    },
    scanKeys(start, limit, see) {
      keys.bind([start, limit]);
      while (keys.step()) see(keys.get(0));
      keys.reset();
    },
    scan(start, limit, see) {
      rows.bind([start, limit]);
      while (rows.step()) see(rows.get(0), rows.get(1));
      rows.reset();
    },
    page(start, limit) {
      const found = [];
      this.scan(start, limit, (key, value) => found.push({ key, value }));
      return found;
    },
    close() {
      for (const statement of made) statement.finalize();
      db.close();
    },
  };
}

const TABLE = "create table if not exists files (path text primary key, value blob) without rowid";

export async function open() {
  await load();
  const db = new sqlite3.oo1.DB(":memory:");
  db.exec(TABLE);
  return { ...statements(db), finish: () => {} };
}

export async function openFiles() {
  // Opens its files, which a database then takes and gives back: once in the life of a page.
  const start = performance.now();
  pool ??= await sqlite3.installOpfsSAHPoolVfs({});
  const poolMs = performance.now() - start;
  const db = new pool.OpfsSAHPoolDb("/bench.sqlite");
  // Without shared memory there is a log only for one connection alone.
  db.exec("pragma locking_mode=exclusive; pragma journal_mode=wal; pragma synchronous=full");
  if (db.selectValue("pragma journal_mode") !== "wal") throw new Error("it has no log");
  db.exec(TABLE);
  const { put, ...rest } = statements(db);
  return {
    ...rest,
    poolMs,
    putDurable: put,
    putBuffered: put,
    // With "normal", what is written is in the log at once and flushed later.
    setBuffered: (isBuffered) => db.exec(`pragma synchronous=${isBuffered ? "normal" : "full"}`),
    settle: () => db.exec("pragma wal_checkpoint(passive)"),
    fill(entries) {
      db.exec("begin");
      for (const [path, value] of entries) put(path, value);
      db.exec("commit; pragma wal_checkpoint(truncate)");
    },
  };
}
