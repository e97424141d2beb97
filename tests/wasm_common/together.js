// Tests of what changes more than one key at once, or reads more than one at one moment. See face.js.

import { assert, bytes, filled, keysOf, refused, same, text, utf8 } from "./assert.js";

// ----------------------------------------------------- keys and directories -----

export function renames(Spinney) {
  const db = Spinney.memory();
  db.put("draft", "text");
  same(db.rename("draft", "final"), true, "renaming");
  same([db.get("draft"), db.getText("final")], [undefined, "text"], "it has moved");
  same(db.rename("draft", "other"), false, "nothing to rename");
  db.put("draft", "more");
  refused(() => db.rename("draft", "final"), "TargetExists");
  same(db.rename(utf8("draft"), utf8("caf\u00e9")), true, "renaming bytes");
  same(db.getText("caf\u00e9"), "more", "to bytes");
  same(db.rename("a".repeat(65000), "b".repeat(65000)), false, "two long names");
  refused(() => db.rename("a", "b".repeat(65001)), "KeyTooLong", { lengthBytes: 65001 });
  refused(() => db.rename("a"), "InvalidArgument", { argument: "to" });
  db.close();
}

export function directories(Spinney) {
  const { db, keys } = filled(Spinney);
  same(db.count(), 1001, "all keys");
  same(db.count("dir3/"), 100, "keys of a directory");
  same(db.renamePrefix("dir3/", "archive/new/"), true, "moving a directory");
  same(db.renamePrefix("dir3/", "archive/new/"), false, "it is not there any more");
  same([db.count("dir3/"), db.count("archive/new/")], [0, 100], "counts");
  const moved = keys.filter((key) => key.startsWith("dir3/"));
  same(keysOf(db.scan("archive/")), moved.map((key) => key.replace("dir3/", "archive/new/")), "keys");
  refused(() => db.renamePrefix("archive/", "dir4/"), "TargetExists");
  refused(() => db.renamePrefix("archive/", "archive/old/"), "RenameIntoItself");
  same(db.removePrefix("archive/"), true, "removing a directory");
  same(db.removePrefix("archive/"), false, "removing it again");
  same(db.count(), 901, "the others");
  same(db.removePrefix(""), true, "emptying the tree");
  same([db.count(), db.check().isClean], [0, true], "nothing is left");
  db.close();
}

// ------------------------------------------------------------------ batches -----

export function batches(Spinney) {
  const db = Spinney.memory();
  const [files, owners] = [db.tree("files"), db.tree("owners")];
  const version = files.put("old", "1");
  files.put("loose", "2");
  const batch = db.batch();
  same(batch.length, 0, "an empty batch");
  batch
    .expectAbsent(files, "new").expectPresent(files, "old").expectVersion(files, "old", version)
    .expectEmpty(owners, "a/").put(files, "new", bytes(1)).put(owners, "new", "Ada").put(db, "b", "default")
    .putIfAbsent(files, "third", "3").compareAndPut(files, "old", version, "1b").rename(files, "loose", "kept")
    .remove(files, "missing").removeIf(files, "third", 0).remove(files, "third");
  same(batch.length, 13, "steps");
  same(files.get("new"), undefined, "nothing happens before the commit");
  refused(() => batch.commit(), "BatchRefused", { index: 11 });
  same([files.get("new"), batch.length], [undefined, 13], "a refused batch is as it was");
  batch.close();
  batch.close();
  refused(() => batch.put(files, "a", ""), "Closed");
  const other = db.batch().put(files, "new", bytes(1)).put(owners, "new", "Ada").remove(files, "missing");
  const versions = other.commit();
  same([versions.length, versions[1], versions[2]], [3, versions[0] + 1, undefined], "versions");
  same(files.getEntry("new").version, versions[0], "the version of a step");
  same([other.length, other.commit()], [0, []], "it is empty afterwards");
  other.rename(files, "loose", "kept").removeIf(files, "old", version).commit();
  same(keysOf(files.scan()), ["kept", "new"], "filled again");
  const large = db.batch();
  for (let i = 0; i < 3000; i++) large.put(files, `part-${i}`, `value ${i}`);
  same(large.commit().length, 3000, "many steps");
  same(files.getText("part-2999"), "value 2999", "the last of them");
  db.close();
}

export function refusedBatches(Spinney) {
  const [db, other] = [Spinney.memory(), Spinney.memory()];
  const files = db.tree("files");
  const batch = db.batch().put(files, "a", "1");
  refused(() => batch.put(other.tree("files"), "b", "1"), "OtherDatabase");
  refused(() => batch.put(files, "x".repeat(65001), "1"), "KeyTooLong");
  refused(() => batch.remove(files), "InvalidArgument", { argument: "key" });
  refused(() => batch.put(db.snapshot(), "b", "1"), "InvalidArgument", { argument: "tree" });
  same(batch.length, 1, "what was refused is not in it");
  same(batch.commit().length, 1, "and spoils nothing");
  const large = db.batch();
  const value = new Uint8Array(60000);
  for (let i = 0; i < 300; i++) large.put(files, `large/${i}`, value);
  refused(() => large.commit(), "BatchTooLarge", { limitBytes: 16 << 20 });
  same(files.count(), 1, "nothing was applied");
  large.close();
  files.close();
  refused(() => db.batch().put(files, "a", "1"), "Closed");
  for (const each of [db, other]) each.close();
}

// ------------------------------------------------------------- transactions -----

export function transactions(Spinney) {
  const db = Spinney.memory();
  const stock = db.tree("stock");
  stock.put("apples", bytes(3));
  const take = () => db.transact((tx) => {
    const [left] = tx.get(stock, "apples");
    if (left === 0) tx.abort();
    tx.put(stock, "apples", bytes(left - 1));
    tx.put(db, `sold/${left}`, "yes");
    same(tx.get(stock, "apples"), bytes(left - 1), "it sees its own writes");
    same(stock.get("apples"), bytes(left), "nobody else does");
    return left - 1;
  });
  same([take(), take(), take()], [2, 1, 0], "results");
  refused(take, "Aborted");
  same([stock.get("apples"), db.count("sold/")], [bytes(0), 3], "what is left");
  const thrown = new RangeError("a user's own");
  let caught;
  try {
    db.transact((tx) => {
      tx.put(stock, "apples", bytes(9));
      throw thrown;
    });
  } catch (error) {
    caught = error;
  }
  assert(caught === thrown && stock.get("apples")[0] === 0, "what the function throws is thrown on");
  const abortIsCaught = (tx) => {
    tx.put(stock, "apples", bytes(9));
    try {
      tx.abort();
    } catch {}
  };
  refused(() => db.transact(abortIsCaught), "Aborted");
  same(stock.get("apples"), bytes(0), "given up is given up");
  let kept;
  db.transact((tx) => {
    kept = tx;
    tx.put(stock, "pears", "many");
    same([tx.getText(stock, "pears"), tx.contains(stock, "pears")], ["many", true], "own text");
    tx.remove(stock, "apples");
    same([tx.get(stock, "apples"), tx.contains(stock, "apples")], [undefined, false], "own removal");
    same([tx.rename(stock, "pears", "plums"), tx.rename(stock, "pears", "nuts")], [true, false], "renames");
    refused(() => tx.put(Spinney.memory(), "a", ""), "OtherDatabase");
    refused(() => tx.put(stock, "x".repeat(65001), ""), "KeyTooLong");
    refused(() => tx.put("stock", "a", ""), "InvalidArgument", { argument: "tree" });
  });
  same(keysOf(stock.scan()), ["plums"], "applied");
  refused(() => kept.get(stock, "plums"), "TransactionEnded");
  refused(() => kept.scan(stock), "TransactionEnded");
  same(db.transact(() => undefined), undefined, "nothing to do");
  const inner = db.transact((outer) => {
    outer.put(stock, "a", "1");
    return db.transact((tx) => tx.contains(stock, "a"));
  });
  same([inner, stock.contains("a")], [false, true], "one inside of another");
  refused(() => db.transact(() => db.close()), "Closed");
}

export function conflicts(Spinney) {
  const db = Spinney.memory();
  const tree = db.tree("counter");
  tree.put("n", bytes(1));
  let runs = 0;
  const result = db.transact((tx) => {
    const [n] = tx.get(tree, "n");
    // Others are faster, twice.
    if (runs++ < 2) tree.put("n", bytes(n + 10));
    tx.put(tree, "n", bytes(n + 1));
    return n + 1;
  });
  same([result, tree.get("n"), runs], [22, bytes(22), 3], "it was run again");
  // What is read at two moments breaks a run at once, and its error is not the user's.
  tree.put("m", bytes(0));
  runs = 0;
  db.transact((tx) => {
    const [n] = tx.get(tree, "n");
    if (runs++ === 0) db.batch().put(tree, "n", bytes(n + 1)).put(tree, "m", bytes(n + 1)).commit();
    const [m] = tx.get(tree, "m");
    if (runs > 1 && m !== n) throw new Error(`${m} is of another moment than ${n}`);
  });
  same(runs, 2, "runs");
  const error = refused(() => db.transact((tx) => {
    tx.get(tree, "n");
    tree.put("n", bytes(5));
    tx.put(tree, "o", bytes(1));
  }), "Conflict");
  assert(error.tries >= 10 && !tree.contains("o"), `${error.tries} tries`);
  db.close();
}

export function transactionRanges(Spinney) {
  const { db, keys } = filled(Spinney);
  db.transact((tx) => {
    same(keysOf(tx.scan(db, "dir")), keys, "all keys");
    same(keysOf(tx.scan(db, "dir", { limit: 700 })), keys.slice(0, 700), "more than a page of them");
    const above = keys.filter((key) => key > keys[500]);
    same(keysOf(tx.scan(db, "dir", { startAfter: keys[500] })), above, "after a key");
    const dirs = Array.from({ length: 10 }, (_, i) => `dir${i}/`);
    same(keysOf(tx.list(db)), [...dirs, "zz"], "the root");
    same(keysOf(tx.list(db, "", { limit: 2, startAfter: "dir3/" })), ["dir4/", "dir5/"], "part of it");
    same(keysOf(tx.list(db, "", { delimiter: "r" })), ["dir", "zz"], "another delimiter");
    tx.put(db, "dir4x/new", "1");
    tx.remove(db, "zz");
    const own = [...dirs.slice(0, 5), "dir4x/", ...dirs.slice(5)];
    same(keysOf(tx.list(db)), own, "with what it has written");
    const [entry] = tx.scan(db, "dir4x/");
    same([entry.text, entry.version], ["1", 0], "an entry of its own");
    const raw = tx.scan(db, "dir4/", { keys: "bytes", values: false }).toArray();
    same([raw.length, text(raw[99].key), raw[0].value], [100, keys[499], undefined], "bytes without values");
    refused(() => tx.scan(db, "", { reverse: true }), "InvalidArgument", { argument: "reverse" });
  });
  let kept;
  db.transact((tx) => {
    kept = tx.scan(db, "dir");
    kept.next();
  });
  refused(() => kept.next(), "TransactionEnded");
  // That nothing is there is read as well.
  let runs = 0;
  db.transact((tx) => {
    const isEmpty = tx.scan(db, "jobs/").toArray().length === 0;
    if (runs++ === 0) db.put("jobs/1", "by another");
    if (isEmpty) tx.put(db, "jobs/mine", "1");
  });
  same([runs, keysOf(db.scan("jobs/"))], [2, ["jobs/1"]], "a key that came");
  db.close();
}

// ---------------------------------------------------------------- snapshots -----

export function snapshots(Spinney) {
  const { db, keys } = filled(Spinney);
  const users = db.tree("users");
  const last = users.put("1", "Ada");
  const snapshot = db.snapshot();
  same(db.stats().openSnapshots, 1, "open snapshots");
  users.put("1", "Bob");
  users.put("2", "Eve");
  db.removePrefix("dir3/");
  db.tree("later").put("a", "1");
  same([snapshot.version, snapshot.trees()], [last, ["default", "users"]], "of that moment");
  const then = snapshot.tree("users");
  same([then.getText("1"), then.get("2"), then.count()], ["Ada", undefined, 1], "a tree as it was");
  same(then.put, undefined, "it cannot be written");
  same(snapshot.tree("later").count(), 0, "a tree that came later is empty");
  same([snapshot.count("dir"), db.count("dir")], [1000, 900], "counts");
  same(keysOf(snapshot.scan("dir")), keys, "a scan of more than a page");
  same(keysOf(snapshot.list("dir3/")).length, 4, "a list");
  same(text(snapshot.get(keys[0])), `value ${keys[0]}`, "a value");
  same(snapshot.getMany([keys[1], "none"]).map((value) => value && text(value)), [`value ${keys[1]}`, undefined],
    "many");
  same(snapshot.longestPrefix(`${keys[2]}/x`).key, keys[2], "the longest prefix");
  const scan = snapshot.scan("dir");
  scan.next();
  snapshot.close();
  snapshot.close();
  for (const call of [() => snapshot.get("a"), () => then.get("1"), () => scan.next()]) refused(call, "Closed");
  same(db.stats().openSnapshots, 0, "closing gives back what it kept");
  same(db.getText("zz"), "\x01", "the database goes on");
  // An iterator keeps the snapshot it came from.
  const orphan = db.snapshot().tree("users").scan();
  users.removePrefix("");
  same(keysOf(orphan), ["1", "2"], "an iterator without its snapshot");
  db.close();
}

// -------------------------------------------------------------------- model -----

// xorshift32.
function random(seed) {
  let state = seed;
  return (end) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % end;
  };
}

// Random calls of all kinds beside a plain map. The keys are ASCII, so that JavaScript sorts them as bytes.
export function model(Spinney) {
  const below = random(0x9e3779b9);
  let db = Spinney.memory();
  let tree = db.tree("model");
  let map = new Map();
  let snapshots = [];
  const folders = ["photos", "a/b/c", "x", "x/y", "logs"];
  const key = () => `${folders[below(5)]}/${below(20)}/${String(below(100)).padStart(2, "0")}`;
  const prefix = () => `${folders[below(5)]}/${below(20)}/`;
  const under = (of, start) => [...of.keys()].filter((each) => each.startsWith(start)).sort();
  const entries = (of) => [...of].map((entry) => [entry.key, entry.text]);
  const expected = (of, start) => under(of, start).map((each) => [each, of.get(each)]);
  const put = (name, value) => {
    tree.put(name, value);
    map.set(name, value);
  };
  const steps = [
    () => put(key(), "v".repeat(below(600)) + below(1000)),
    () => put(key(), `${below(1000)}`),
    () => {
      const name = key();
      same(tree.remove(name), map.delete(name), "remove");
    },
    () => {
      const names = [key(), key(), key()];
      same(tree.getMany(names).map((value) => value && text(value)), names.map((name) => map.get(name)), "get");
    },
    () => {
      const [name, value] = [key(), `${below(1000)}`];
      same(tree.putIfAbsent(name, value) !== undefined, !map.has(name), "putIfAbsent");
      if (!map.has(name)) map.set(name, value);
    },
    () => {
      const [from, to] = [prefix(), `${prefix()}moved-${below(50)}/`];
      if (to.startsWith(from) || under(map, to).length > 0) return;
      same(tree.renamePrefix(from, to), under(map, from).length > 0, "renamePrefix");
      for (const name of under(map, from)) {
        map.set(to + name.slice(from.length), map.get(name));
        map.delete(name);
      }
    },
    () => {
      if (below(4) > 0) return;
      const start = prefix();
      same(tree.removePrefix(start), under(map, start).length > 0, "removePrefix");
      for (const name of under(map, start)) map.delete(name);
    },
    () => {
      const batch = db.batch();
      const names = Array.from({ length: 1 + below(20) }, key);
      for (const name of names) batch.put(tree, name, `batch ${name}`);
      batch.commit();
      for (const name of names) map.set(name, `batch ${name}`);
    },
    () => {
      const start = prefix();
      const moved = db.transact((tx) => {
        const found = keysOf(tx.scan(tree, start));
        for (const name of found) tx.put(tree, name, "tx");
        return found;
      });
      same(moved, under(map, start), "scan in a transaction");
      for (const name of moved) map.set(name, "tx");
    },
    () => {
      const start = below(3) === 0 ? "" : prefix();
      same(entries(tree.scan(start)), expected(map, start), "scan");
      same(entries(tree.scan(start, { reverse: true })), expected(map, start).reverse(), "scan back");
      same(tree.count(start), under(map, start).length, "count");
    },
    () => {
      if (snapshots.length < 3) snapshots.push([db.snapshot(), new Map(map)]);
      const [snapshot, then] = snapshots[below(snapshots.length)];
      const start = prefix();
      same(entries(snapshot.tree("model").scan(start)), expected(then, start), "scan of a snapshot");
      if (below(10) === 0) snapshots.shift()[0].close();
    },
  ];
  for (let step = 0; step < 4000; step++) {
    // Puts are half of all.
    steps[below(2) === 0 ? below(2) : below(steps.length)]();
    if (step % 1000 === 999) {
      same(db.check().isClean, true, "check");
      same(entries(tree.scan()), expected(map, ""), "everything");
      const copy = Spinney.fromImage(db.image());
      db.close();
      [db, tree, snapshots] = [copy, copy.tree("model"), []];
    }
  }
  db.close();
}
