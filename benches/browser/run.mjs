// Measures in Chromium and prints what it has found, a line for each sample, with tabs between the words:
//
//   table   PLACE  KEYS  BYTES           what follows is about so many paths; bytes of all keys and values
//   sample  METRIC STORE NUMBER
//   wrong   STORE  WHAT                  an answer that is not that of the Map
//
//   node run.mjs KEYS[,KEYS...] ROUNDS BUILDS

import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VALUE_BYTES, pathOf } from "./app/paths.js";
import { inTurn } from "./app/reads.js";
import { html, profile, remove, serve } from "./serve.mjs";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const [sizes, rounds, builds] = process.argv.slice(2).map((text) => text.split(",").map(Number));
const pages = { "/memory.html": html("/app/memory.js"), "/empty.html": html("data:text/javascript,") };
const server = await serve(here, pages);

const say = (text) => console.error(`-- ${text}`);
const line = (...words) => console.log(words.map((word) => String(word).replace(/\s+/g, " ")).join("\t"));

function print({ samples, wrong }) {
  for (const sample of samples) line("sample", ...sample);
  for (const complaint of wrong) line("wrong", ...complaint);
}

function startTable(place, count) {
  let bytes = count * VALUE_BYTES;
  for (let number = 0; number < count; number++) bytes += pathOf(number).length;
  line("table", place, count, bytes);
}

/** A fresh browser with a profile on the disk, which is gone afterwards. */
async function inBrowser(run) {
  const folder = mkdtempSync(join(process.env.SPINNEY_BENCH_FOLDER ?? tmpdir(), "spinney-bench-"));
  try {
    const context = await profile(folder);
    context.setDefaultTimeout(0);
    try {
      return await run(context);
    } finally {
      await context.close();
    }
  } finally {
    await remove(folder);
  }
}

async function memoryPage(context) {
  const page = await context.newPage();
  await page.addInitScript(keepMemories);
  await page.goto(`${server.address}/memory.html`);
  await page.waitForFunction(() => globalThis.isReady);
  return page;
}

/** Keeps the memories of all wasm modules that a page starts, which the engine does not count as its own. */
function keepMemories() {
  globalThis.memories = new Set();
  const keep = (instance, imports) => {
    const all = [instance.exports, ...Object.values(imports ?? {})].flatMap((each) => Object.values(each));
    for (const item of all) if (item instanceof WebAssembly.Memory) globalThis.memories.add(item);
  };
  for (const name of ["instantiate", "instantiateStreaming"]) {
    const original = WebAssembly[name];
    WebAssembly[name] = async (source, imports) => {
      const result = await original.call(WebAssembly, source, imports);
      keep(result.instance ?? result, imports);
      return result;
    };
  }
}

/** Bytes of everything that a page holds: objects, the buffers behind them, and memories of wasm. */
async function heldBytes(page, session) {
  // What is freed at first may free more.
  for (let i = 0; i < 3; i++) await session.send("HeapProfiler.collectGarbage");
  const { usedSize, backingStorageSize } = await session.send("Runtime.getHeapUsage");
  const sizes = await page.evaluate(() => [...globalThis.memories].map(({ buffer }) => buffer.byteLength));
  return sizes.reduce((sum, size) => sum + size, usedSize + backingStorageSize);
}

async function memoryOf(context, name, count) {
  const page = await memoryPage(context);
  const session = await context.newCDPSession(page);
  await page.evaluate((task) => globalThis.fill(task), { name, count });
  const before = await heldBytes(page, session);
  await page.evaluate(() => globalThis.start());
  const bytes = (await heldBytes(page, session)) - before;
  await page.close();
  return bytes / count;
}

async function inMemory(count) {
  say(`${count} paths in memory`);
  startTable("memory", count);
  await inBrowser(async (context) => {
    const page = await memoryPage(context);
    const task = { count, rounds: rounds[0], builds: builds[0] };
    print(await page.evaluate((sent) => globalThis.measure(sent), task));
    await page.close();
    for (const name of ["spinney", "map", "sqlite"]) {
      print({ samples: [["memory, a path", name, await memoryOf(context, name, count)]], wrong: [] });
    }
  });
}

/** Has a worker of its own do a task. */
async function inWorker(page, task) {
  const done = await page.evaluate((sent) => new Promise((resolve) => {
    const worker = new Worker("/app/files.js", { type: "module" });
    const end = (answer) => {
      worker.terminate();
      resolve(answer);
    };
    worker.onmessage = ({ data }) => end(data);
    worker.onerror = (event) => end({ failed: event.message ?? "the worker could not be loaded" });
    worker.postMessage(sent);
  }), task);
  if (done.failed) throw new Error(done.failed);
  return done;
}

async function inFiles(count) {
  say(`${count} paths in files`);
  startTable("files", count);
  await inBrowser(async (context) => {
    const page = await context.newPage();
    await page.goto(`${server.address}/empty.html`);
    print(await inWorker(page, { task: "measure", count, rounds: rounds[0] }));
    for (let round = 0; round < rounds[0]; round++) {
      for (const isRoot of [true, false]) {
        for (const name of inTurn(["spinney", "indexeddb", "sqlite"], round)) {
          print(await inWorker(page, { task: "open", name, count, isRoot }));
        }
      }
    }
  });
}

try {
  for (const count of sizes) {
    await inMemory(count);
    await inFiles(count);
  }
} finally {
  server.close();
}
