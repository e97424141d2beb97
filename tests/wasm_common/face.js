// Tests of the JavaScript face, in JavaScript: each gets the class `Spinney`. tests/wasm.rs runs them over the
// module that it is compiled into, tests/package runs them over the package. What changes more than one key,
// and transactions and snapshots, are in together.js.

import { assert, bytes, filled, keysOf, refused, same, show, text, utf8 } from "./assert.js";

// ----------------------------------------------------------- keys and values -----

export function putGetRemove(Spinney) {
  const db = Spinney.memory();
  same(db.get("a/b"), undefined, "a miss");
  const first = db.put("a/b", bytes(1, 2, 3));
  assert(Number.isSafeInteger(first) && first > 0, `version ${first}`);
  assert(db.put("a/c", bytes()) > first, "versions rise");
  same(db.get("a/b"), bytes(1, 2, 3), "a hit");
  same(db.get("a/c"), bytes(), "an empty value");
  same(db.contains("a/b"), true, "contains a key");
  same(db.contains("a/"), false, "contains a prefix");
  same(db.remove("a/b"), true, "removing a key");
  same(db.remove("a/b"), false, "removing it again");
  same(db.contains("a/b"), false, "contains a removed key");
  const value = db.get("a/c");
  db.put("a/c", bytes(9));
  same(value, bytes(), "a value is a copy");
  db.close();
}

export function getInto(Spinney) {
  const db = Spinney.memory();
  const target = new Uint8Array(100).fill(7);
  for (const length of [0, 1, 47, 48, 49, 99, 100]) {
    const value = Uint8Array.from({ length }, (_, i) => i + 1);
    db.put("key", value);
    target.fill(7);
    same(db.getInto("key", target), length, "length");
    same(target.subarray(0, length), value, "value");
    same(target.subarray(length), new Uint8Array(100 - length).fill(7), "bytes behind the value");
  }
  db.put("key", new Uint8Array(101));
  target.fill(7);
  same(db.getInto("key", target), 101, "length of a value that does not fit");
  same(target, new Uint8Array(100).fill(7), "nothing is copied then");
  same(db.getInto("other", target), undefined, "a miss");
  const part = new Uint8Array(new ArrayBuffer(300), 100, 101);
  same(db.getInto("key", part), 101, "into a part of a buffer");
  refused(() => db.getInto("key", []), "InvalidArgument", { argument: "target" });
  refused(() => db.getInto("key"), "InvalidArgument", { argument: "target" });
  db.close();
}

export function textsAndEntries(Spinney) {
  const db = Spinney.memory();
  const long = "caf\u00e9 \u65e5\u672c \u{1f332} ".repeat(2000);
  const texts = ["", "plain", "caf\u00e9", "\ufeffmark", "x".repeat(199), "\u00e9".repeat(200), long];
  for (const value of texts) {
    const version = db.put("key", value);
    same(db.getText("key"), value, "a text");
    same(db.get("key"), utf8(value), "its bytes");
    const entry = db.getEntry("key");
    same([entry.key, entry.text, entry.version, entry.isPrefix], ["key", value, version, false], "an entry");
    const watched = new Proxy(entry, {});
    same([watched.value, watched.text], [utf8(value), value], "an entry that a framework watches");
    same(entry.value, utf8(value), "the value of an entry");
  }
  const late = "x".repeat(20000) + "\u{1f332}".repeat(10000);
  db.put("key", late);
  same(db.getText("key"), late, "a text that is longer than it began");
  same([db.getText("other"), db.getEntry("other")], [undefined, undefined], "misses");
  const key = bytes(1, 2);
  db.put(key, "1");
  const entry = db.getEntry(key);
  key[0] = 9;
  same(entry.key, bytes(1, 2), "the key of an entry is a copy");
  // As a Buffer of Node.js.
  class Sharing extends Uint8Array {
    slice() {
      return this;
    }
  }
  const shared = Sharing.of(1, 2);
  const ofShared = db.getEntry(shared);
  shared[0] = 9;
  same(ofShared.key, bytes(1, 2), "whatever its slice is");
  db.put("", "root");
  db.put("home/", "disk");
  same(db.longestPrefix("home/ada").key, "home/", "the longest prefix");
  same(db.longestPrefix("other").text, "root", "the empty key");
  same(db.tree("none").longestPrefix("other"), undefined, "no prefix");
  db.close();
}

export function getMany(Spinney) {
  const { db, keys } = filled(Spinney);
  same(db.getMany([]), [], "no keys");
  const asked = [...keys, "missing", utf8(keys[3]), keys[3], "caf\u00e9"];
  const found = db.getMany(asked);
  const expected = asked.map((key) => db.get(key));
  same(found, expected, "values");
  db.put("empty", "");
  same(db.getMany(["empty", "none", "empty"]), [bytes(), undefined, bytes()], "empty values");
  same(db.getMany(new Set(keys.slice(0, 3))), expected.slice(0, 3), "any iterable");
  const closed = Spinney.memory();
  const later = [];
  function* closing() {
    closed.close();
    later.push(Spinney.memory());
    later[0].put("key", "of another");
    yield "key";
  }
  refused(() => closed.getMany(closing()), "Closed");
  later[0].close();
  const long = Array.from({ length: 100 }, (_, i) => `${"x".repeat(60000)}${i}`);
  for (const key of long) db.put(key, key.slice(-3));
  same(db.getMany(long).map(text), long.map((key) => key.slice(-3)), "long keys");
  refused(() => db.getMany(["a", "x".repeat(65001)]), "KeyTooLong", { lengthBytes: 65001 });
  same(Spinney.memory().getMany(["a", "b"]), [undefined, undefined], "of a tree that does not exist");
  db.close();
}

export function conditions(Spinney) {
  const db = Spinney.memory();
  const first = db.putIfAbsent("a", "1");
  assert(first > 0, "a version");
  same(db.putIfAbsent("a", "2"), undefined, "it is there");
  same(db.getText("a"), "1", "and stays");
  same(db.compareAndPut("a", first + 1, "2"), undefined, "another version");
  const second = db.compareAndPut("a", first, "2");
  assert(second > first && db.getText("a") === "2", "the right version");
  same(db.removeIf("a", first), false, "removing an older version");
  same(db.removeIf("a", second), true, "removing this version");
  same(db.contains("a"), false, "gone");
  db.close();
}

export function keysAreBytes(Spinney) {
  const db = Spinney.memory();
  const texts = [
    "", "\0", "a\0b", "\u007f", "\u0080", "\u07ff", "\u0800", "\uffff", "\u{10000}", "\u{10ffff}",
    "\ufeff", "\ufeffa", "caf\u00e9/\u65e5\u672c/\u{1f332}.txt", "x".repeat(300) + "\u00e9", "e\u0301",
  ];
  for (const key of texts) db.put(key, utf8(`value of ${key}`));
  for (const key of texts) {
    same(text(db.get(key)), `value of ${key}`, "by string");
    same(text(db.get(utf8(key))), `value of ${key}`, "by bytes");
  }
  const surrogate = bytes(0x61, 0xed, 0xa0, 0x80);
  const binary = [bytes(0xff), bytes(0xc0, 0x80), surrogate, new Uint8Array(40).fill(0x80)];
  for (const key of binary) db.put(key, key);
  for (const key of binary) same(db.get(key), key, "a key that is not UTF-8");

  const found = Array.from(db.scan(""));
  same(found.length, texts.length + binary.length, "entries");
  for (const { key, value } of found) {
    const known = typeof key === "string" ? texts : binary;
    assert(known.some((other) => show(other) === show(key)), show(key));
    same(value, typeof key === "string" ? utf8(`value of ${key}`) : key, `value of ${show(key)}`);
    same(db.get(key), value, "a key that came out goes in again");
  }
  // Nothing is cut off a key that begins with a byte order mark, when it is the first of its bundle.
  same(keysOf(db.scan("\ufeff")), ["\ufeff", "\ufeffa"], "byte order marks");
  const raw = keysOf(db.scan("", { keys: "bytes" }));
  const encoded = found.map(({ key }) => (typeof key === "string" ? utf8(key) : key));
  same(raw.map(show), encoded.map(show), "keys as bytes");
  for (let i = 1; i < raw.length; i++) {
    const [left, right] = [raw[i - 1], raw[i]];
    const at = left.findIndex((byte, j) => byte !== right[j]);
    assert(at < 0 ? left.length < right.length : left[at] < right[at] || right.length > at, "order of bytes");
  }
  db.close();
}

export function typedArraysOfAllKinds(Spinney) {
  const db = Spinney.memory();
  class Own extends Uint8Array {
    get length() {
      throw new Error("code of the user runs");
    }
  }
  const own = new Own(3).fill(5);
  db.put(own, own);
  same(db.get(bytes(5, 5, 5)), bytes(5, 5, 5), "a subclass");
  const part = new Uint8Array(new ArrayBuffer(100), 10, 80).fill(6);
  db.put(part, part);
  same(db.get(new Uint8Array(80).fill(6)), new Uint8Array(80).fill(6), "a part of a buffer");
  refused(() => db.get(new Proxy(bytes(1), {})), "InvalidArgument");
  for (const wrong of [new Int8Array(1), new Uint8ClampedArray(1), new DataView(new ArrayBuffer(1)), [1]]) {
    refused(() => db.get(wrong), "InvalidArgument", { argument: "key" });
  }
  db.close();
}

// ------------------------------------------------------------------- trees -----

export function trees(Spinney) {
  const db = Spinney.memory();
  same(db.trees(), [], "no trees at first");
  const reads = [db.get("a"), db.remove("a"), db.contains("a")];
  same(reads, [undefined, false, false], "reads of the default tree");
  same([...db.scan(""), ...db.list("")], [], "iterations of the default tree");
  same(db.trees(), [], "reads do not make the default tree");
  const [users, posts] = [db.tree("users"), db.tree("posts")];
  users.put("1", utf8("Ada"));
  same(posts.get("1"), undefined, "trees are apart");
  same(text(db.tree("users").get("1")), "Ada", "a second handle");
  db.put("1", utf8("default"));
  same(db.trees(), ["default", "posts", "users"], "names");
  same(text(db.tree("default").get("1")), "default", "the default tree by name");
  same(db.dropTree("users"), true, "dropping a tree");
  same(db.dropTree("users"), false, "dropping it again");
  same(db.tree("users").get("1"), undefined, "what was dropped is gone");
  same(db.dropTree("default"), true, "dropping the default tree");
  same(db.get("1"), undefined, "the default tree is gone");
  db.put("2", utf8("again"));
  same(text(db.tree("default").get("2")), "again", "the default tree is made again");
  db.tree("\u65e5\u672c").put("1", bytes(1));
  assert(db.trees().includes("\u65e5\u672c"), "a name that is not ASCII");
  users.close();
  users.close();
  refused(() => users.get("1"), "Closed");
  posts.close();
  db.close();
}

export function renamedTrees(Spinney) {
  const db = Spinney.memory();
  const drafts = db.tree("drafts");
  drafts.put("a", "text");
  same(db.renameTree("drafts", "letters"), true, "renaming a tree");
  same(db.renameTree("drafts", "other"), false, "there is none of this name");
  same([drafts.getText("a"), db.tree("letters").getText("a")], ["text", "text"], "handles go on");
  db.tree("third");
  refused(() => db.renameTree("letters", "third"), "TargetExists");
  refused(() => db.renameTree("letters", ""), "TreeName", { lengthBytes: 0 });
  db.put("b", "default");
  same(db.renameTree("default", "before"), true, "renaming the default tree");
  same([db.get("b"), db.tree("before").getText("b")], [undefined, "default"], "there is none at first");
  same(db.renameTree("letters", "default"), true, "a new default tree");
  same(db.getText("a"), "text", "and what is in it");
  db.close();
}

// --------------------------------------------------------------- iterations -----

export function scans(Spinney) {
  const { db, keys, versions } = filled(Spinney);
  let count = 0;
  for (const entry of db.scan("dir")) {
    same(Object.keys(entry), ["key", "version", "isPrefix"], "properties");
    same(entry.text, text(entry.value), "text");
    same(entry.key, keys[count], "key");
    same(text(entry.value), `value ${entry.key}`, "value");
    same(entry.version, versions.get(entry.key), "version");
    same(entry.isPrefix, false, "isPrefix");
    count++;
  }
  same(count, keys.length, "entries");
  same(keysOf(db.scan("dir3/sub1/")), keys.filter((key) => key.startsWith("dir3/sub1/")), "one directory");
  same(keysOf(db.scan(utf8("dir3/"))), keys.filter((key) => key.startsWith("dir3/")), "a prefix of bytes");
  same(keysOf(db.scan("nothing")), [], "no keys");
  same(keysOf(db.scan("")).length, keys.length + 1, "all keys");
  for (const entry of db.scan("dir7/", { values: false })) {
    same([entry.value, entry.version], [undefined, versions.get(entry.key)], "without values");
  }
  same(keysOf(db.scan("dir7/", { values: false })).length, 100, "entries without values");
  db.close();
}

export function scanOptions(Spinney) {
  const { db, keys } = filled(Spinney);
  const down = keys.toReversed ? keys.toReversed() : [...keys].reverse();
  for (const limit of [0, 1, 15, 16, 17, 300, 999, 1000, 5000, Infinity]) {
    same(keysOf(db.scan("dir", { limit })), keys.slice(0, limit), `limit ${limit}`);
    same(keysOf(db.scan("dir", { limit, reverse: true })), down.slice(0, limit), `reverse, limit ${limit}`);
  }
  for (const after of ["", "d", "dir3/", "dir3/sub2/file0111", keys[500], keys[999], "e", "zzz"]) {
    const above = keys.filter((key) => key > after);
    same(keysOf(db.scan("dir", { startAfter: after })), above, `after ${after}`);
    const below = down.filter((key) => key < after);
    same(keysOf(db.scan("dir", { startAfter: after, reverse: true })), below, `reverse, after ${after}`);
  }
  for (const reverse of [false, true]) {
    const paged = [];
    for (let startAfter; ; startAfter = paged.at(-1)) {
      const part = keysOf(db.scan("dir", { startAfter, reverse, limit: 37 }));
      if (part.length === 0) break;
      paged.push(...part);
    }
    same(paged, reverse ? down : keys, `page by page, reverse ${reverse}`);
  }
  same(keysOf(db.scan("dir", undefined)), keys, "options undefined");
  const names = ["startAfter", "limit", "reverse", "delimiter", "values", "keys"];
  const unset = Object.fromEntries(names.map((name) => [name, undefined]));
  same(keysOf(db.scan("dir", unset)), keys, "options set to undefined");
  db.close();
}

export function lists(Spinney) {
  const { db } = filled(Spinney);
  const dirs = Array.from({ length: 10 }, (_, i) => `dir${i}/`);
  same(keysOf(db.list("")), [...dirs, "zz"], "the root");
  same(Array.from(db.list(""), (entry) => entry.isPrefix), [...dirs.map(() => true), false], "isPrefix");
  const [first] = db.list("");
  same([first.value, first.version], [undefined, undefined], "a directory has no value");
  same(first.text, undefined, "a directory has no text");
  const subs = keysOf(db.list("dir4/"));
  same(subs, ["dir4/sub0/", "dir4/sub1/", "dir4/sub2/", "dir4/sub3/"], "a directory");
  same(keysOf(db.list("dir4/", { reverse: true })), [...subs].reverse(), "reverse");
  const files = Array.from(db.list("dir4/sub1/"));
  assert(files.length === 25 && files.every((file) => !file.isPrefix && file.value.length > 0), "files");
  same(files.map(({ key }) => key), keysOf(db.scan("dir4/sub1/")), "a directory of files");
  const without = Array.from(db.list("dir4/sub1/", { values: false }), (file) => file.value);
  same(without, Array(25).fill(undefined), "without values");
  same(keysOf(db.list("", { limit: 3 })), dirs.slice(0, 3), "limit");
  same(keysOf(db.list("", { startAfter: "dir6/" })), ["dir7/", "dir8/", "dir9/", "zz"], "after a directory");
  const below = keysOf(db.list("", { startAfter: "dir6/", reverse: true }));
  same(below, dirs.slice(0, 6).reverse(), "below a directory");
  same(keysOf(db.list("", { startAfter: "dir8/x" })), ["dir9/", "zz"], "after a key in a directory");
  for (const reverse of [false, true]) {
    const paged = [];
    for (let startAfter; ; startAfter = paged.at(-1)) {
      const part = keysOf(db.list("", { startAfter, reverse, limit: 3 }));
      if (part.length === 0) break;
      paged.push(...part);
    }
    const all = [...dirs, "zz"];
    same(paged, reverse ? all.reverse() : all, `page by page, reverse ${reverse}`);
  }
  for (const key of ["com.example.a", "com.example.b", "com.sun", "net"]) db.tree("dots").put(key, bytes());
  same(keysOf(db.tree("dots").list("", { delimiter: "." })), ["com.", "net"], "another delimiter");
  same(keysOf(db.tree("dots").list("com.", { delimiter: "." })), ["com.example.", "com.sun"], "below it");
  same(keysOf(db.list("dir4/", { keys: "bytes" })).map(text), subs, "directories as bytes");
  db.close();
}

export function iteratorProtocol(Spinney) {
  const { db, keys } = filled(Spinney);
  const iterator = db.scan("dir");
  assert(iterator[Symbol.iterator]() === iterator, "an iterator is its own iterable");
  same(iterator.next().value.key, keys[0], "next");
  let seen = 0;
  for (const { key } of iterator) {
    same(key, keys[1 + seen++], "goes on where it stood");
    if (seen === 400) break;
  }
  same(iterator.next(), { value: undefined, done: true }, "a loop that is left ends the iterator");
  const ended = db.scan("dir9/sub3/");
  same([...ended].length, 25, "spread");
  same([ended.next().done, ended.next().done, [...ended].length], [true, true, 0], "it stays at its end");
  const [a, , c] = db.scan("dir");
  same([a.key, c.key], [keys[0], keys[2]], "destructured");
  same(db.scan("dir").return(5), { value: 5, done: true }, "return");
  if (globalThis.Iterator?.prototype.take) {
    same(db.scan("dir").map(({ key }) => key).take(5).toArray(), keys.slice(0, 5), "iterator helpers");
  }
  // Many that are never finished, and two at once.
  for (let i = 0; i < 1000; i++) db.scan("dir").next();
  const [one, two] = [db.scan("dir"), db.list("")];
  for (let i = 0; i < 11; i++) same([one.next().done, two.next().done], [false, false], "side by side");
  db.close();
}

export function writesDuringAnIteration(Spinney) {
  const { db, keys } = filled(Spinney);
  const seen = [];
  for (const { key } of db.scan("dir")) {
    seen.push(key);
    db.remove(key);
    db.put(`other/${key}`, bytes(1));
    // Behind what is read ahead.
    if (seen.length === 100) db.put("dir9/sub3/new", bytes(1));
  }
  const expected = [...keys, "dir9/sub3/new"].sort();
  same(seen, expected, "keys seen");
  same(keysOf(db.scan("other/")).length, expected.length, "keys written");
  same(db.check().isClean, true, "check");
  db.close();
}

export function largeValues(Spinney) {
  const db = Spinney.memory();
  const value = (i) => new Uint8Array((i * 7919) % 65536).fill(i);
  for (let i = 0; i < 60; i++) db.put(`large/${String(i).padStart(2, "0")}`, value(i));
  let count = 0;
  for (const entry of db.scan("large/")) {
    const expected = value(count++);
    same(entry.value.length, expected.length, `length of ${entry.key}`);
    assert(entry.value.every((byte) => byte === expected[0]), entry.key);
  }
  same(count, 60, "entries");
  const longest = new Uint8Array(65535).fill(1);
  db.put("x".repeat(65000), longest);
  same(db.get("x".repeat(65000)).length, longest.length, "the longest key and value");
  db.close();
}

// ------------------------------------------------------------------- images -----

export function images(Spinney) {
  const { db, keys } = filled(Spinney);
  db.tree("users").put("1", utf8("Ada"));
  const image = db.image();
  assert(image instanceof Uint8Array && image.length % (512 * 1024) === 0, "an image is whole blobs");
  same(image.length, db.stats().sizeBytes, "its size");
  const copy = Spinney.fromImage(image);
  db.close();
  same(keysOf(copy.scan("dir")), keys, "keys");
  same(text(copy.get(keys[77])), `value ${keys[77]}`, "a value");
  same(text(copy.tree("users").get("1")), "Ada", "another tree");
  assert(copy.image().every((byte, at) => byte === image[at]), "the image of an image is the same");
  const next = copy.put("more", bytes(1));
  assert(next > keys.length, "versions go on");
  same(copy.check(), { isClean: true, problems: [], keys: 1005, rangeBlobs: 1, routerBlobs: 0 }, "check");
  const other = Spinney.memory();
  other.tree("only").put("a", bytes(1));
  const opened = Spinney.fromImage(other.image());
  same([opened.get("a"), [...opened.scan("")], opened.trees()], [undefined, [], ["only"]], "no default tree");
  for (const each of [copy, other, opened]) each.close();
}

export function stats(Spinney) {
  const { db } = filled(Spinney);
  const stats = db.stats();
  same([stats.keys, stats.blobs, stats.rangeBlobs, stats.hops], [1001, 2, 1, 0], "counts");
  // The first write made the tree.
  same(stats.lastVersion, 1002, "the last version");
  for (const [name, value] of Object.entries(stats)) assert(typeof value === "number", name);
  assert(stats.fill > 0 && stats.fill < 1, "fill");
  db.close();
}

// ------------------------------------------------------------------- errors -----

export function limits(Spinney) {
  const db = Spinney.memory();
  const limitBytes = 65000;
  refused(() => db.put("x".repeat(65001), bytes()), "KeyTooLong", { lengthBytes: 65001, limitBytes });
  refused(() => db.get("\u00e9".repeat(32501)), "KeyTooLong", { lengthBytes: 65002, limitBytes });
  refused(() => db.remove("\u00e9".repeat(70000)), "KeyTooLong", { lengthBytes: 140000, limitBytes });
  refused(() => db.get(new Uint8Array(65001)), "KeyTooLong", { lengthBytes: 65001, limitBytes });
  refused(() => db.scan("x".repeat(65001)), "KeyTooLong", { lengthBytes: 65001, limitBytes });
  const huge = new Uint8Array((64 << 20) + 1);
  const { limitBytes: most } = refused(() => db.put("a", huge), "ValueTooLarge", { lengthBytes: huge.length });
  const tooLarge = huge.subarray(0, most + 1);
  refused(() => db.putIfAbsent("a", tooLarge), "ValueTooLarge", { lengthBytes: most + 1, limitBytes: most });
  refused(() => db.put("a", "x".repeat(most + 1)), "ValueTooLarge", { lengthBytes: most + 1, limitBytes: most });
  refused(() => db.batch().put(db, "a", tooLarge), "ValueTooLarge");
  refused(() => db.transact((tx) => tx.put(db, "a", tooLarge)), "ValueTooLarge");
  db.put("a", huge.subarray(0, most));
  same(db.get("a").length, most, "the longest value");
  const [entry] = db.scan("a", { values: false });
  same(entry.value, undefined, "a scan passes it over");
  same(db.scan("a").next().value.value.length, most, "or reads it");
  refused(() => db.tree(""), "TreeName", { lengthBytes: 0, limitBytes: 255 });
  refused(() => db.tree("\u00e9".repeat(128)), "TreeName", { lengthBytes: 256, limitBytes: 255 });
  same(db.tree("\u00e9".repeat(127)).get(""), undefined, "a long name");
  db.close();
}

export function wrongArguments(Spinney) {
  const db = Spinney.memory();
  const wrong = (call, argument) => refused(call, "InvalidArgument", { argument });
  for (const key of [undefined, null, 5, true, {}, [], new String("a"), Symbol("a"), 5n, () => "a"]) {
    wrong(() => db.put(key, bytes()), "key");
    wrong(() => db.get(key), "key");
    if (key !== undefined) wrong(() => db.scan(key), "prefix");
    wrong(() => db.tree(key), "name");
    wrong(() => Spinney.fromImage(key), "image");
    if (key !== undefined) wrong(() => db.scan("", { startAfter: key }), "startAfter");
  }
  wrong(() => db.tree(bytes(97)), "name");
  for (const value of [undefined, null, 5, {}, [1], new Int8Array(1)]) wrong(() => db.put("a", value), "value");
  wrong(() => db.put("a", "half \ud800"), "value");
  wrong(() => db.put("a", "x".repeat(1000) + "\udc00"), "value");
  for (const version of [undefined, -1, 0.5, "1", NaN, 2 ** 53]) {
    wrong(() => db.compareAndPut("a", version, bytes()), "expected");
    wrong(() => db.removeIf("a", version), "expected");
  }
  for (const keys of [undefined, null, 5, "ab", bytes(1), {}]) wrong(() => db.getMany(keys), "keys");
  wrong(() => db.getMany(["a", 5]), "keys[1]");
  wrong(() => db.transact(), "run");
  wrong(() => db.transact(async () => 1), "run");
  wrong(() => db.batch().put("a", "b", bytes()), "tree");
  wrong(() => db.renameTree("a", 5), "to");
  try {
    new Spinney();
    assert(false, "a database without a beginning");
  } catch (error) {
    assert(error instanceof TypeError && error.message.includes("Spinney.memory()"), `${error}`);
  }
  wrong(() => db.put("a"), "value");
  for (const half of ["\ud800", "a\udc00", "\ud800\ud800", "\udc00\ud800", "\udc00\udc00"]) {
    wrong(() => db.put(half, bytes()), "key");
    wrong(() => db.tree(half), "name");
  }
  for (const options of [5, null, "a", true]) wrong(() => db.scan("", options), "options");
  for (const limit of [-1, 0.5, NaN, "5", null, 5n]) wrong(() => db.scan("", { limit }), "limit");
  for (const delimiter of ["", "ab", "\u00e9", 47, null]) {
    wrong(() => db.list("", { delimiter }), "delimiter");
  }
  wrong(() => db.scan("", { delimiter: "/" }), "delimiter");
  wrong(() => db.scan("", { reverse: 1 }), "reverse");
  wrong(() => db.scan("", { values: "no" }), "values");
  wrong(() => db.scan("", { keys: "utf-8" }), "keys");
  const thrown = new RangeError("from a getter");
  const options = {
    get limit() {
      db.put("from a getter", bytes(1));
      throw thrown;
    },
  };
  let caught;
  try {
    db.scan("", options);
  } catch (error) {
    caught = error;
  }
  assert(caught === thrown, "what a getter throws is thrown on");
  same(db.get("from a getter"), bytes(1), "a getter may use the database");
  db.close();
}

export function damagedImages(Spinney) {
  const { db } = filled(Spinney);
  const image = db.image();
  db.close();
  const [blobBytes, pageBytes] = [512 * 1024, 4096];
  const changed = (at, byte) => {
    const copy = image.slice();
    copy[at] ^= byte;
    return copy;
  };
  for (const page of [0, 1, 17, 127]) {
    const damaged = changed(blobBytes + page * pageBytes + 99, 4);
    const error = refused(() => Spinney.fromImage(damaged), "Corrupt", { blob: 1, page });
    assert(error.reason.length > 3, "reason");
  }
  const cut = image.subarray(0, blobBytes);
  const [foundBytes, expectedBytes] = [blobBytes, image.length];
  refused(() => Spinney.fromImage(cut), "Truncated", { foundBytes, expectedBytes });
  refused(() => Spinney.fromImage(image.subarray(0, 5000)), "Truncated", { foundBytes: 5000 });
  refused(() => Spinney.fromImage(utf8("something else")), "NotSpinney");
  refused(() => Spinney.fromImage(new Uint8Array(blobBytes)), "NotSpinney");
  refused(() => Spinney.fromImage(bytes()), "NotSpinney");
}

export function newerFormat(Spinney) {
  const db = Spinney.memory();
  const image = db.image();
  db.close();
  const supported = image[7];
  for (const page of [0, 1]) image[page * 4096 + 7] = 99;
  refused(() => Spinney.fromImage(image), "NewerFormat", { found: 99, supported });
}

export function closing(Spinney) {
  const { db } = filled(Spinney);
  const tree = db.tree("users");
  tree.put("1", bytes(1));
  const [fresh, drawn, left] = [db.scan(""), db.scan(""), db.list("")];
  drawn.next();
  left.return();
  const batch = db.batch().put(db, "a", "");
  const snapshot = db.snapshot();
  const then = snapshot.tree("users");
  db.close();
  db.close();
  const calls = [
    () => batch.put(db, "a", ""), () => batch.commit(), () => snapshot.get("a"), () => then.get("a"),
    () => then.count(""), () => snapshot.trees(), () => snapshot.version, () => snapshot.tree("a"),
    () => db.batch(), () => db.transact(() => 1), () => db.snapshot(), () => db.getMany(["a"]),
    () => db.renameTree("a", "b"), () => db.count(), () => db.longestPrefix("a"), () => db.getEntry("a"),
    () => db.getText("a"), () => db.putIfAbsent("a", ""), () => db.compareAndPut("a", 1, ""),
    () => db.removeIf("a", 1), () => db.rename("a", "b"), () => db.renamePrefix("a", "b"),
    () => db.removePrefix("a"), () => fresh.toArray(),
    () => db.put("a", bytes()), () => db.get("a"), () => db.getInto("a", bytes()), () => db.contains("a"),
    () => db.remove("a"), () => db.list(""), () => db.scan(""), () => db.image(), () => db.stats(),
    () => db.check(), () => db.tree("a"), () => db.trees(), () => db.dropTree("a"),
    () => tree.put("a", bytes()), () => tree.get("a"), () => tree.getInto("a", bytes()),
    () => tree.contains("a"), () => tree.remove("a"), () => tree.list(""), () => tree.scan(""),
    () => fresh.next(), () => drawn.next(), () => left.next(),
  ];
  for (const call of calls) refused(call, "Closed");
  // Another database takes the same places, and what is closed does not read it.
  const { db: next } = filled(Spinney);
  next.tree("users").put("a", "1");
  const [later] = [next.snapshot(), next.batch(), next.scan("")];
  same(later.tree("users").getText("a"), "1", "the other database");
  for (const call of calls) refused(call, "Closed");
  next.close();
  drawn.return();
  tree.close();
  db.close();
  const other = Spinney.memory();
  other.close();
  other.close();
  refused(() => other.get("a"), "Closed");
  if (Symbol.dispose) {
    const last = Spinney.memory();
    last[Symbol.dispose]();
    refused(() => last.get("a"), "Closed");
  }
  // A tree keeps its database.
  const orphan = Spinney.memory().tree("a");
  orphan.put("a", bytes(1));
  same(orphan.get("a"), bytes(1), "a tree without its database object");
}

// A database that grows the memory of the module stays reachable for what comes next.
export function openAndPut(Spinney, key) {
  const db = Spinney.memory();
  putAndGet(db, key);
  return db;
}

export function putAndGet(db, key) {
  const value = utf8(`value of ${key}`);
  db.put(key, value);
  db.put(value, value);
  const target = new Uint8Array(60);
  same(db.get(key), value, "get");
  same(target.subarray(0, db.getInto(key, target)), value, "getInto");
  same(db.get(value), value, "a key of bytes");
  const [first] = db.scan(key);
  same([first.key, first.value], [key, value], "scan");
}

// Starts iterations by the thousand, and ends them. Each takes a multiple of the length of its prefix.
export function startAndEnd(Spinney) {
  const db = Spinney.memory();
  const prefix = "x".repeat(60000);
  db.put(`${prefix}/a`, bytes(1));
  for (let i = 0; i < 1000; i++) {
    same([...db.scan(prefix)].length, 1, "entries");
    const list = db.list(prefix);
    list.next();
    list.return();
  }
}

// Opens, fills and closes a database; the handles are handed back, so that nothing collects them.
export function openAndClose(Spinney) {
  const { db } = filled(Spinney);
  const held = [db, db.tree("users"), db.tree("users"), db.scan("dir"), db.list("")];
  held.push(db.batch().put(db, "b", "1"), db.snapshot(), db.snapshot().scan(""));
  held[3].next();
  const image = db.image();
  const copy = Spinney.fromImage(image);
  held.push(copy);
  copy.put("a", bytes(1));
  copy.close();
  db.close();
  return held;
}

export function imageOf(Spinney, image) {
  const db = Spinney.fromImage(image);
  same(db.check().isClean, true, "check");
  const copy = db.image();
  db.close();
  return copy;
}
