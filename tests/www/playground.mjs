// The playground: what changes, how long it took, and what is left of it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  choose,
  crumbs,
  everythingHasAName,
  figure,
  ready,
  rows,
  settled,
  textsAreLegible,
  told,
  visit,
} from "./page.mjs";

const BULK = 100_000;

/** Fills in the dialog that is open, and sends it. */
async function answer(page, first, second) {
  await page.waitForSelector("#ask[open]");
  if (first !== undefined) await page.fill("#ask-first", first);
  if (second !== undefined) await page.fill("#ask-second", second);
  await page.click("#ask-ok");
}

const files = async (page) => Number((await figure(page, "files")).replaceAll(",", ""));

export async function putEditRemove({ chrome, address }) {
  const { page, context, close } = await visit(chrome, address, { hash: "#play/notes/" });
  const before = await files(page);
  await page.keyboard.press("n");
  await page.waitForSelector("#ask[open]");
  await everythingHasAName(page, context);
  await answer(page, "notes/new/one.txt", "hello");
  await told(page, /^notes\/new\/one\.txt was put in \d/);
  await page.waitForFunction(
    (name) => document.querySelector(".row.active .name")?.textContent === name,
    "new",
  );
  assert.equal(await files(page), before + 1);
  await choose(page, "new");
  await choose(page, "one.txt");
  assert.equal(await page.textContent("#details pre"), "hello");
  await page.click("#details .plain");
  await answer(page, undefined, "hello again");
  await told(page, /was put/);
  await choose(page, "one.txt");
  assert.equal(await page.textContent("#details pre"), "hello again");
  await page.keyboard.press("F2");
  await answer(page, "notes/new/two.txt");
  await told(page, /^Moved from notes\/new\/one\.txt to notes\/new\/two\.txt in \d/);
  assert.deepEqual(await rows(page), ["two.txt"]);
  // What is refused is said in the dialog, which stays.
  await page.keyboard.press("F2");
  await answer(page, "notes/ideas.md");
  await page.waitForFunction(() => document.getElementById("ask-error").textContent !== "");
  assert.ok(await page.isVisible("#ask"));
  await page.click("#ask-cancel");
  await page.click("#tool-remove");
  await answer(page);
  await told(page, /^notes\/new\/two\.txt removed in/);
  // The directory has gone with its last file.
  assert.deepEqual(await crumbs(page), ["playground", "notes"]);
  assert.equal(await files(page), before);
  // Names that the address of a page would take for its own.
  await page.keyboard.press("n");
  await answer(page, "odd/100% #1?/\u00fc & <b>.txt", "odd");
  await told(page, /was put/);
  await page.click("#crumbs a >> nth=0");
  await settled(page);
  await choose(page, "odd");
  await choose(page, "100% #1?");
  assert.deepEqual(await rows(page), ["\u00fc & <b>.txt"]);
  await page.reload();
  await ready(page);
  await close();
}

export async function renameDirectory({ chrome, address, shoot }) {
  const { page, context, close } = await visit(chrome, address, { hash: "#play/" });
  const before = await files(page);
  await page.click("#tool-fill");
  await told(page, /^100,000 files put into bulk\/ in/);
  assert.equal(await files(page), before + BULK);
  await page.click("#notice .main");
  await answer(page, "moved/here/");
  const said = await told(page, /files moved/);
  assert.match(
    said,
    /^100,000 files moved from bulk\/ to moved\/here\/ in [\d.]+ (ms|\u00b5s)\. \d+ pages in \d+ of/,
  );
  console.log(`   ${said}`);
  assert.match(await page.textContent("#code"), /renamePrefix\("bulk\/", "moved\/here\/"\);/);
  assert.match(await figure(page, "last operation"), /ms|\u00b5s/);
  const millis = Number(/in ([\d.]+) ms/.exec(said)?.[1] ?? 0);
  assert.ok(millis < 1000, said);
  await shoot(page, "playground-light");
  await choose(page, "moved");
  assert.deepEqual(await rows(page), ["here"]);
  await page.keyboard.press("c");
  await page.waitForFunction(() => /100,000 keys below/.test(document.getElementById("count").textContent));
  // Into itself, and onto another: refused.
  for (const to of ["moved/here/inside/", "photos/"]) {
    await page.click("#tool-rename");
    await answer(page, to);
    await page.waitForFunction(() => document.getElementById("ask-error").textContent !== "");
    await page.click("#ask-cancel");
  }
  assert.equal(await files(page), before + BULK);
  await page.click("#tool-remove");
  await answer(page);
  await told(page, /^moved\/here\/, 100,000 files, removed in/);
  assert.equal(await files(page), before);
  await page.click("#tool-fill");
  await told(page, /files put into bulk\//);
  await page.click("#tool-reset");
  await answer(page);
  await told(page, /files removed in/);
  assert.equal(await files(page), before);
  await everythingHasAName(page, context);
  await close();
}

export async function exportAndImport({ chrome, address, shoot }) {
  const one = await visit(chrome, address, { hash: "#play/", scheme: "dark" });
  await one.page.keyboard.press("n");
  await answer(one.page, "exported.txt", "it was here");
  await told(one.page, /was put/);
  const count = await files(one.page);
  const [download] = await Promise.all([one.page.waitForEvent("download"), one.page.click("#tool-save")]);
  assert.equal(download.suggestedFilename(), "playground.spinney");
  const bytes = readFileSync(await download.path());
  assert.equal(bytes.subarray(0, 7).toString(), "SPINNEY");
  await textsAreLegible(one.page);
  await shoot(one.page, "playground-dark");
  await one.close();

  const other = await visit(chrome, address, { hash: "#play/" });
  const give = async (name, buffer) => {
    const [chooser] = await Promise.all([
      other.page.waitForEvent("filechooser"),
      other.page.click("#tool-load"),
    ]);
    await chooser.setFiles({ name, mimeType: "application/octet-stream", buffer });
  };
  // What is no database changes nothing.
  await give("notes.txt", Buffer.from("this is no database"));
  await told(other.page, /^notes\.txt was not imported: /);
  const damaged = Buffer.from(bytes);
  damaged[600_000] ^= 1;
  await give("damaged.spinney", damaged);
  await told(other.page, /^damaged\.spinney was not imported: /);
  assert.ok(!(await rows(other.page)).includes("exported.txt"));
  await give("playground.spinney", bytes);
  await told(other.page, /files? from playground\.spinney, every checksum verified/);
  assert.equal(await files(other.page), count);
  await choose(other.page, "exported.txt");
  assert.equal(await other.page.textContent("#details pre"), "it was here");
  await other.close();
}

/** With OPFS the playground is there again after a reload. */
export async function keepOverReload({ chrome, address, skip }) {
  const { page, close } = await visit(chrome, address, { hash: "#play/" });
  if (!(await page.evaluate(async () => (await import("./store.js")).can.openWorker))) {
    await close();
    return skip("this build of the package has no openWorker");
  }
  assert.match(await page.textContent("#lead"), /own storage/);
  await page.keyboard.press("n");
  await answer(page, "kept.txt", "still here");
  await told(page, /was put/);
  await page.click("#tool-fill");
  await told(page, /^100,000 files put/);
  const before = await files(page);
  await page.reload();
  await ready(page);
  assert.equal(await files(page), before);
  await choose(page, "kept.txt");
  assert.equal(await page.textContent("#details pre"), "still here");
  // A second tab cannot write what the first one writes: it says so, and works in memory.
  const second = await page.context().newPage();
  await second.goto(`${address}/#play/`);
  await ready(second);
  assert.match(await second.textContent("#notice"), /^Not kept over a reload/);
  return close();
}
