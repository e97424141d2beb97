// All tests of reading over HTTP, in a page; the server is told in the address of this module. With `only` there, too,
// the module that only reads is tested, and the page has the whole package from elsewhere.

import { init, Spinney } from "spinney";
import { catalog, smallCatalog } from "../remote_catalog.mjs";
import * as tests from "../remote_face.js";

async function main() {
  await init();
  const asked = new URL(import.meta.url).searchParams;
  // The server remembers names.
  const served = { address: asked.get("served"), name: asked.has("only") ? "page-only" : "page" };
  const reader = asked.has("only") ? await import("spinney/remote") : Spinney;
  const openUrl = (...args) => reader.openUrl(...args);
  const { db } = catalog(Spinney, 50_000);
  const world = { openUrl, served, db, small: smallCatalog(Spinney) };
  const failed = [];
  const told = [];
  for (const [name, test] of Object.entries(tests)) {
    try {
      told.push(await test(world));
    } catch (error) {
      failed.push(`${name}: ${error.stack}`);
    }
  }
  const passed = Object.keys(tests).length - failed.length;
  return JSON.stringify({ passed, failed, told: told.filter(Boolean).join() });
}

main().then(
  (result) => (globalThis.result = result),
  (error) => (globalThis.result = `{"failed":[${JSON.stringify(error.stack)}]}`),
);
