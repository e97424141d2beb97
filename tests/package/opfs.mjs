// Databases in files of the site, in Chromium: the tests of app/opfs.js, a second tab, a full disk, and files that
// go to the native tool and back.
//
//   node opfs.mjs PATH_OF_THE_NATIVE_TOOL

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { html, profile, remove, serve } from "./serve.mjs";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const imports = { spinney: "/node_modules/spinney/index.js" };
const pages = { "/opfs.html": html("/app/opfs.js", imports), "/tab.html": html("/app/opfs_tab.js", imports) };
const server = await serve(here, pages);
const folder = mkdtempSync(join(tmpdir(), "spinney-opfs-"));
const context = await profile(join(folder, "profile"));

async function open(path) {
  const page = await context.newPage();
  page.on("pageerror", (error) => console.error(error.stack));
  if (process.env.SPINNEY_VERBOSE) page.on("console", (message) => console.log(message.text()));
  await page.goto(server.address + path);
  return page;
}

async function face() {
  const page = await open("/opfs.html");
  await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: 600000 });
  const { passed, failed } = JSON.parse(await page.evaluate(() => globalThis.result));
  assert.deepEqual(failed, []);
  console.log(`${passed} tests of files passed`);
}

/** A tab with a function `tab` for what is asked of it. */
async function tab() {
  const page = await open("/tab.html");
  await page.waitForFunction(() => globalThis.tab !== undefined);
  return (name, ...args) => page.evaluate(([name, args]) => globalThis.tab[name](...args), [name, args]);
}

async function twoTabs() {
  const [one, two] = [await tab(), await tab()];
  assert.equal(await one("open", "shared"), "open");
  await one("put", "a", "of the first tab");
  const start = performance.now();
  assert.equal(await two("open", "shared"), "Locked");
  assert.ok(performance.now() - start < 3000, "at once");
  assert.equal(await one("close"), "closed");
  assert.equal(await two("open", "shared"), "open");
  assert.equal(await two("get", "a"), "of the first tab");
  await two("close");
  console.log("a second tab is told that the database is open");
}

async function fullDisk() {
  const page = await open("/tab.html");
  await page.waitForFunction(() => globalThis.tab !== undefined);
  const ask = (name, ...args) => page.evaluate(([name, args]) => globalThis.tab[name](...args), [name, args]);
  assert.equal(await ask("open", "full", { durability: "buffered", cacheBytes: 1 << 20, logBytes: 8 << 20 }), "open");
  await ask("put", "first", "is there");
  const client = await context.newCDPSession(page);
  const limit = (quotaSize) => client.send("Storage.overrideQuotaForOrigin", { origin: server.address, quotaSize });
  await limit(24 << 20);
  const { count, code, message } = await ask("fill");
  assert.equal(code, "QuotaExceeded", message);
  assert.ok(count > 100, `${count} writes before`);
  // Reads go on, and all that was acknowledged is there.
  assert.equal(await ask("get", "first"), "is there");
  assert.equal(await ask("count", "fill/"), count);
  assert.equal(await ask("isClean"), true);
  await client.send("Storage.overrideQuotaForOrigin", { origin: server.address });
  await ask("put", "after", "there is space again");
  assert.equal(await ask("close"), "closed");
  assert.equal(await ask("open", "full"), "open");
  assert.equal(await ask("count", "fill/"), count);
  assert.equal(await ask("get", "after"), "there is space again");
  await ask("close");
  console.log(`without space writes are refused, after ${count} of them, and go on when there is some`);
}

async function nativeFiles(tool) {
  const run = (args, input) => execFileSync(tool, args, { input, maxBuffer: 1 << 28, encoding: "utf8" });
  const ask = await tab();
  // Written natively, changed here.
  const native = join(folder, "native.spinney");
  const rows = Array.from({ length: 20000 }, (_, i) => ({ key: `dir-${i % 50}/${i}`, value: `${i} `.repeat(i % 40) }));
  run(["import", native, "--format", "jsonl", "-"], rows.map((row) => JSON.stringify(row)).join("\n"));
  await ask("importBase64", "native", readFileSync(native).toString("base64"));
  assert.equal(await ask("open", "native"), "open");
  assert.equal(await ask("countIn", "files", "dir-7/"), 400);
  await ask("change", "files");
  assert.equal(await ask("close"), "closed");
  // The file itself, as it lies there.
  const back = join(folder, "back.spinney");
  writeFileSync(back, Buffer.from(await ask("fileBase64", "native"), "base64"));
  assert.equal(JSON.parse(run(["check", back, "--json"])).clean, true);
  assert.equal(run(["count", back, "moved/"]).trim(), "400");
  assert.equal(run(["get", back, "here"]).trimEnd(), "written in the browser");
  run(["put", back, "later", "natively"]);
  await ask("importBase64", "again", readFileSync(back).toString("base64"));
  assert.equal(await ask("open", "again"), "open");
  assert.equal(await ask("getIn", "files", "later"), "natively");
  await ask("close");
  console.log("files went to the native tool and back");
}

try {
  await face();
  await twoTabs();
  await fullDisk();
  if (process.argv[2]) await nativeFiles(process.argv[2]);
} finally {
  await context.close();
  server.close();
  await remove(folder);
}
