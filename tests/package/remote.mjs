// Databases read over HTTP, in Node.js; with --bench a catalog of a million paths, and what it takes; with --only
// by the module that only reads, and a copy of the package, "spinney-whole", knows what the answers are.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { catalog, smallCatalog } from "./remote_catalog.mjs";
import * as tests from "./remote_face.js";
import { serveFiles } from "./remote_server.mjs";

const isLarge = process.argv.includes("--bench");
const isOnly = process.argv.includes("--only");
const { Spinney } = await import(isOnly ? "spinney-whole" : "spinney");
const reader = isOnly ? await small() : await import("spinney/remote");

// As a browser has it: in Node.js "spinney/remote" is the whole module.
async function small() {
  const folder = new URL("./node_modules/spinney/", import.meta.url);
  const module = readFileSync(new URL("wasm/remote.wasm", folder));
  const reader = await import(new URL("remote.js", folder));
  const loading = reader.init(module);
  for (let turn = 0; turn < 10; turn++) await undefined;
  // Two instances would share what there is once for each.
  assert.throws(() => reader.initSync(module), { name: "SpinneyError", code: "LoadFailed", message: /under way/ });
  await loading;
  reader.initSync(new Uint8Array(0)); // nothing is loaded twice
  const whole = await import(new URL("index.js", folder));
  const refused = { name: "SpinneyError", code: "LoadFailed", message: /only reads: import everything from "spinney"/ };
  assert.throws(() => whole.initSync(readFileSync(new URL("wasm/spinney.wasm", folder))), refused);
  await assert.rejects(whole.init(readFileSync(new URL("wasm/spinney.wasm", folder))), refused);
  assert.throws(() => whole.Spinney.memory(), { name: "SpinneyError", code: "NotInitialized" });
  return reader;
}

export async function runRemote(run) {
  const { db, image } = catalog(Spinney, isLarge ? 1_000_000 : 50_000);
  const small = smallCatalog(Spinney);
  const files = { "/catalog.spinney": Buffer.from(image), "/small.spinney": Buffer.from(small.image()) };
  const server = await serveFiles(files);
  try {
    await run({ openUrl: (...args) => reader.openUrl(...args), served: { address: server.address, name: "node" }, db, small, isLarge, image });
  } finally {
    server.close();
  }
}

if (process.argv[1] === import.meta.filename) {
  await runRemote(async (world) => {
    console.log(`a catalog of ${(world.image.length / 1e6).toFixed(1)} MB`);
    const wanted = isLarge ? ["aDirectoryTakesFewTripsAndBytes"] : Object.keys(tests);
    for (const name of wanted) {
      const told = await tests[name](world);
      if (told) console.log(told);
    }
    assert.ok(wanted.length > 0);
    console.log(`${wanted.length} tests of reading over HTTP passed`);
  });
}
