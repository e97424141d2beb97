// Measures the stores that are in memory, in a page.

import { pathOf, shuffledNumbers, valueOf } from "./paths.js";
import { WARM_ROUNDS, difference, each, inTurn, questions, timeReads } from "./reads.js";

const SLICES = 20;

/** Fills a store, and returns the microseconds a put takes. The paths are made before. */
async function build(module, count) {
  const numbers = shuffledNumbers(count);
  const store = await module.open();
  let took = 0;
  const slice = Math.ceil(count / SLICES);
  for (let start = 0; start < count; start += slice) {
    const these = numbers.subarray(start, start + slice);
    const paths = Array.from(these, pathOf);
    took += await each(1, () => {
      for (let i = 0; i < paths.length; i++) store.put(paths[i], valueOf(these[i]));
    });
  }
  took += await each(1, () => store.finish());
  return { store, put: took / count };
}

export async function measure({ count, rounds, builds }) {
  const names = ["spinney", "map", "sqlite"];
  const modules = {};
  for (const name of names) modules[name] = await import(`./stores/${name}.js`);
  const samples = [];
  const wrong = [];
  const stores = {};
  // Once without a clock, as everything that is timed: the engine compiles what runs often.
  for (const name of names) (await build(modules[name], 20000)).store.close();
  for (let turn = 0; turn < builds; turn++) {
    for (const name of names) {
      stores[name]?.close();
      const { store, put } = await build(modules[name], count);
      stores[name] = store;
      samples.push(["put", name, put]);
    }
  }
  for (const name of names) {
    const found = await difference(stores[name], stores.map, questions(count, 0));
    if (found !== undefined) wrong.push([name, found]);
  }
  for (let round = -WARM_ROUNDS; round < rounds; round++) {
    const asked = questions(count, round);
    for (const name of inTurn(names, round)) {
      await timeReads(stores[name], asked, (metric, micros) => {
        if (round >= 0) samples.push([metric, name, micros]);
      });
    }
  }
  for (const name of names) stores[name].close();
  return { samples, wrong };
}

/** Fills one store and leaves it alone, so that its memory can be looked at. */
export async function fill({ name, count }) {
  const { open } = await import(`./stores/${name}.js`);
  globalThis.numbers = shuffledNumbers(count);
  const store = await open();
  globalThis.start = () => {
    for (const number of globalThis.numbers) store.put(pathOf(number), valueOf(number));
    store.finish();
    globalThis.store = store;
  };
}

globalThis.measure = measure;
globalThis.fill = fill;
globalThis.isReady = true;
