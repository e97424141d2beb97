// Measures stores in files of the site, in a worker: `fill` and time them in turns, or open one that is
// there.

import { pathOf, shuffledNumbers, valueOf } from "./paths.js";
import { WARM_ROUNDS, difference, each, entries, inTurn, questions, timeReads } from "./reads.js";

// Few at a time and often: a disk that others use is slow for a while, and then for everybody.
const DURABLE = 20;
const DURABLE_TURNS = 7;
const BUFFERED = 2000;
const NAMES = ["spinney", "indexeddb", "sqlite"];
const DIRECTORY = "tenant-042/photos/2026/05/";

const moduleOf = (name) => import(`./stores/${name}.js`);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function mapOf(count) {
  const oracle = await (await moduleOf("map")).open();
  for (const [path, value] of entries(count)) oracle.put(path, value);
  oracle.finish();
  return oracle;
}

/** Puts other values than were there: those of numbers that no path has, `beyond` and on. */
async function puts(store, numbers, beyond, put) {
  const paths = Array.from(numbers, pathOf);
  return each(paths.length, async () => {
    if (store.isAsync) for (let i = 0; i < paths.length; i++) await put(paths[i], valueOf(beyond + numbers[i]));
    else for (let i = 0; i < paths.length; i++) put(paths[i], valueOf(beyond + numbers[i]));
  });
}

/** What the browser itself takes to write and flush a page, in a file that is long enough. */
async function byHand(pages) {
  const root = await navigator.storage.getDirectory();
  const handle = await (await root.getFileHandle("bare", { create: true })).createSyncAccessHandle();
  const page = new Uint8Array(4096).fill(1);
  for (let at = 0; at < pages; at++) handle.write(page, { at: at * page.length });
  handle.flush();
  let at = 0;
  return {
    putDurable() {
      page[0] += 1;
      handle.write(page, { at: at++ * page.length });
      handle.flush();
    },
    close: () => handle.close(),
  };
}

/** Times writes, and does the same to the oracle. Returns some of the paths that were written. */
async function timeWrites(stores, oracle, count, rounds, note) {
  const turns = rounds * DURABLE_TURNS;
  const written = [];
  const remember = (numbers, beyond) => {
    for (const number of numbers) oracle.put(pathOf(number), valueOf(beyond + number));
    written.push(...Array.from(numbers.subarray(0, 20), pathOf));
  };
  const hand = await byHand(turns * DURABLE);
  const numbers = shuffledNumbers(count, 0x6a09e667);
  // In turns, because the machine has other work, too. The paths are there: each is written again.
  for (let turn = 0; turn < turns; turn++) {
    const these = numbers.subarray(turn * DURABLE, (turn + 1) * DURABLE);
    for (const name of inTurn([...NAMES, "by hand"], turn)) {
      const store = stores[name] ?? hand;
      note("put, durable", name, await puts(store, these, count, store.putDurable));
    }
    remember(these, count);
  }
  hand.close();
  for (const name of NAMES) {
    await stores[name].setBuffered?.(true);
    await stores[name].settle();
  }
  for (let round = 0; round < rounds; round++) {
    const these = numbers.subarray(round * BUFFERED, (round + 1) * BUFFERED);
    for (const name of inTurn(NAMES, round)) {
      note("put, buffered", name, await puts(stores[name], these, 2 * count, stores[name].putBuffered));
      await stores[name].settle();
      await pause(20);
    }
    remember(these, 2 * count);
  }
  return written.reverse();
}

async function measure({ count, rounds }) {
  const stores = {};
  const samples = [];
  const wrong = [];
  const note = (metric, name, micros) => samples.push([metric, name, micros]);
  for (const name of NAMES) {
    const module = await moduleOf(name);
    await module.load();
    stores[name] = await module.openFiles();
    note("fill, a path", name, await each(count, () => stores[name].fill(entries(count))));
  }
  const oracle = await mapOf(count);
  for (const name of NAMES) {
    const found = await difference(stores[name], oracle, questions(count, 0));
    if (found !== undefined) wrong.push([name, found]);
  }
  for (let round = -WARM_ROUNDS; round < rounds; round++) {
    const asked = questions(count, round);
    for (const name of inTurn(NAMES, round)) {
      await timeReads(stores[name], asked, (metric, micros) => {
        if (round >= 0) note(metric, name, micros);
      });
    }
  }
  const written = await timeWrites(stores, oracle, count, rounds, note);
  for (const name of NAMES) {
    const found = await difference(stores[name], oracle, { ...questions(count, 1), paths: written });
    if (found !== undefined) wrong.push([name, `after the puts, ${found}`]);
    await stores[name].close();
  }
  return { samples, wrong };
}

/** Opens a store that is there and lists a directory. The module is loaded before. */
async function open({ name, count, isRoot }) {
  const module = await moduleOf(name);
  await module.load();
  const prefix = isRoot ? "" : DIRECTORY;
  const found = [];
  let store;
  const micros = await each(1, async () => {
    store = await module.openFiles();
    const list = () => store.list(prefix, (child) => found.push(child));
    await (store.together ? store.together(list) : list());
  });
  await store.close();
  const expected = new Set();
  for (let number = 0; number < count; number++) {
    const path = pathOf(number);
    if (!path.startsWith(prefix)) continue;
    const slash = path.indexOf("/", prefix.length);
    expected.add(slash < 0 ? path : path.slice(0, slash + 1));
  }
  const isRight = expected.size > 10 && found.join() === [...expected].sort().join();
  const metric = isRoot ? "open and list the root" : "open and list a directory";
  const samples = [[metric, name, micros / 1000]];
  if (store.poolMs) samples.push([`${metric}: SQLite's pool`, name, store.poolMs]);
  return {
    samples,
    wrong: isRight ? [] : [[name, `${metric}: ${found.length} children, not ${expected.size}`]],
  };
}

onmessage = ({ data: { task, ...rest } }) => {
  const run = task === "measure" ? measure : open;
  run(rest).then(postMessage, (error) => postMessage({ failed: String(error.stack ?? error) }));
};
