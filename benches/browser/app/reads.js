// What is read of every store, and that it answers as the Map does: nothing is timed that was not compared.

import { VALUE_BYTES, directoryOf, pathOf, randomFrom, shuffledNumbers, valueOf } from "./paths.js";

/** Rounds before those that count: the engine compiles again what runs often. */
export const WARM_ROUNDS = 3;

const GETS = 5000;
const CHILDREN = 5000;
const ROWS = 10000;
const PAGES = 10;
const PAGE_ROWS = 1000;

/** The same in another order each turn: what one leaves behind, the next one may pay for. */
export function inTurn(names, turn) {
  const first = (turn + names.length * WARM_ROUNDS) % names.length;
  return [...names.slice(first), ...names.slice(0, first)];
}

/** Microseconds for each of `count`. */
export async function each(count, run) {
  const start = performance.now();
  await run();
  return ((performance.now() - start) * 1000) / count;
}

/** What is asked in a round: the same of every store. */
export function questions(count, round) {
  const random = randomFrom(0x9e3779b9 ^ (round + 1));
  const some = (length) => Array.from({ length }, () => pathOf(random(count)));
  const paths = some(GETS);
  const directories = [];
  // As many as have so many children together.
  const inEach = Math.max(1, Math.floor(count / 1164));
  while (directories.length * inEach < CHILDREN) directories.push(directoryOf(paths[directories.length]));
  // Above the files: all tenants, and what some have.
  const tenants = paths.slice(0, 50).map((path) => path.slice(0, path.indexOf("/") + 1));
  // A tenant of the first third, behind which there are rows enough; so are the pages full.
  const start = () => pathOf(random(Math.floor(count / 97)) * 97 + random(32));
  const starts = Array.from({ length: PAGES }, start);
  return { paths, directories, above: ["", ...tenants], starts, start: start() };
}

/** Runs reads of a store, in one transaction if it knows such. */
const together = (store, run) => (store.together ? store.together(run) : run());

async function answersOf(store, asked) {
  const answers = [];
  await together(store, async () => {
    for (const path of asked.paths.slice(0, 200)) answers.push(path, [...(await store.bytes(path))].join());
    for (const prefix of [...asked.directories.slice(0, 5), ...asked.above.slice(0, 5)]) {
      await store.list(prefix, (child) => answers.push(child));
    }
    await store.scanKeys(asked.start, ROWS, (key) => answers.push(key));
    await store.scan(asked.start, PAGE_ROWS, (key, value) => answers.push(key, [...value].join()));
    for (const { key, value } of await store.page(asked.starts[0], PAGE_ROWS)) {
      answers.push(key, [...value].join());
    }
  });
  return answers;
}

/** What differs from the Map's answers; undefined if nothing. */
export async function difference(store, oracle, asked) {
  const [is, should] = [await answersOf(store, asked), await answersOf(oracle, asked)];
  if (should.length < ROWS) return "the Map has few answers";
  if (is.length !== should.length) return `${is.length} answers and not ${should.length}`;
  const at = should.findIndex((answer, index) => answer !== is[index]);
  return at < 0 ? undefined : `${is[at]} and not ${should[at]}`;
}

/** Counts what is seen, and looks at it. */
class Seen {
  count = 0;
  chars = 0;
  see = (key, value) => {
    this.count++;
    this.chars += key.length + (value?.length ?? 0);
  };
}

/** Times every read once. `note` gets the name of the metric and the microseconds. */
export async function timeReads(store, asked, note) {
  // Answers that are there at once are not waited for: that alone takes longer than some of them.
  const wait = store.isAsync;
  await together(store, async () => {
    let bytes = 0;
    const get = await each(asked.paths.length, async () => {
      if (wait) for (const path of asked.paths) bytes += await store.get(path);
      else for (const path of asked.paths) bytes += store.get(path);
    });
    if (bytes !== asked.paths.length * VALUE_BYTES) throw new Error(`${bytes} bytes were read`);
    note("get", get);

    const list = async (name, prefixes) => {
      const seen = new Seen();
      const time = await each(1, async () => {
        for (const prefix of prefixes) {
          const listed = store.list(prefix, seen.see);
          if (wait) await listed;
        }
      });
      if (seen.count < prefixes.length) throw new Error(`${seen.count} children were listed`);
      note(name, time / seen.count);
    };
    await list("list, a child", asked.directories);
    await list("list of directories, a child", asked.above);

    const rows = async (name, scan) => {
      const seen = new Seen();
      const time = await each(1, () => scan(seen.see));
      if (seen.count !== ROWS) throw new Error(`${seen.count} rows were seen`);
      note(name, time / ROWS);
    };
    await rows("scan of keys, a row", (see) => store.scanKeys(asked.start, ROWS, see));
    await rows("scan, a row", (see) => store.scan(asked.start, ROWS, see));

    let found = 0;
    const page = await each(PAGES, async () => {
      for (const start of asked.starts) found += (await store.page(start, PAGE_ROWS)).length;
    });
    if (found !== PAGES * PAGE_ROWS) throw new Error(`the pages have ${found} rows`);
    note("page of 1000", page);
  });
}

/** Every path and its value, in a random order. */
export function* entries(count) {
  for (const number of shuffledNumbers(count)) yield [pathOf(number), valueOf(number)];
}
