// Looking into a catalog: by mouse, by keyboard, on a phone, in the dark.

import assert from "node:assert/strict";
import {
  choose,
  crumbs,
  everythingHasAName,
  figure,
  nothingSticksOut,
  ready,
  rows,
  settled,
  textsAreLegible,
  visit,
} from "./page.mjs";
import { serve } from "./serve.mjs";

/** What opening a catalog and listing one directory may fetch, however large the catalog is. */
const OPENING_BYTES_MAX = 300_000;

export async function browse({ chrome, address, shoot }) {
  const { page, context, close } = await visit(chrome, address);
  assert.ok((await rows(page)).includes("photos"));
  await choose(page, "photos");
  assert.deepEqual(await crumbs(page), ["catalog", "photos"]);
  const years = (await rows(page)).filter((name) => /^\d{4}$/.test(name));
  assert.ok(years.length > 3, `${years}`);
  await choose(page, years[0]);
  const albums = await rows(page);
  assert.deepEqual(albums, [...albums].sort(), "in the order of keys");
  await choose(page, albums[0]);
  const [photo] = await rows(page);
  await choose(page, photo);
  assert.equal(await page.textContent("#details h2"), photo);
  assert.match(await page.textContent("#details pre"), /"mtime": "20/);
  const operations = await page.$$eval("#log code", (all) => all.map((code) => code.textContent));
  assert.equal(operations[0], `list photos/${years[0]}/${albums[0]}/`);
  assert.match(await figure(page, "last operation"), /^\d+(\.\d)? (ns|\u00b5s|ms)$/);
  assert.match(await page.textContent("#code"), /list\("photos\//);
  await everythingHasAName(page, context);
  await shoot(page, "catalog-light");
  // The address of the page names the directory: back, and loading it again.
  await page.goBack();
  await settled(page);
  assert.equal(await page.evaluate(() => location.hash), `#catalog/photos/${years[0]}/`);
  assert.deepEqual(await rows(page), albums);
  await page.reload();
  await ready(page);
  assert.deepEqual(await crumbs(page), ["catalog", "photos", years[0]]);
  await page.click("#crumbs a >> nth=0");
  await settled(page);
  assert.ok((await rows(page)).includes("photos"));
  await close();
}

export async function search({ chrome, address, shoot }) {
  const { page, close } = await visit(chrome, address);
  await page.fill("#path", "photos/20");
  await page.waitForSelector("#completions li");
  const offers = await page.$$eval("#completions li", (all) => all.map((item) => item.textContent));
  assert.ok(offers.length > 3 && offers.every((offer) => offer.startsWith("photos/20")), `${offers}`);
  await shoot(page, "completions");
  await page.press("#path", "ArrowDown");
  assert.equal(await page.getAttribute("#path", "aria-activedescendant"), "completion-0");
  await page.press("#path", "Enter");
  await settled(page);
  assert.deepEqual(await crumbs(page), ["catalog", "photos", offers[0].slice(7, -1)]);
  // A beginning alone.
  await page.fill("#path", "photos/uns");
  await page.press("#path", "Enter");
  await settled(page);
  assert.deepEqual(await rows(page), ["unsorted"]);
  // A whole key, a directory without its slash, and nothing.
  await choose(page, "unsorted");
  const [photo] = await rows(page);
  await page.fill("#path", `photos/unsorted/${photo}`);
  await page.press("#path", "Enter");
  await page.waitForSelector("#details h2");
  assert.equal(await page.textContent("#details h2"), photo);
  // What is typed before the directory is open stays.
  await page.evaluate(() => {
    const input = document.querySelector("#path");
    input.focus();
    input.value = "/photos";
    input.form.requestSubmit();
    input.value = "no such thing";
    input.dispatchEvent(new Event("input"));
  });
  await page.waitForFunction(() => location.hash === "#catalog/photos/");
  await page.waitForTimeout(300);
  assert.deepEqual(await crumbs(page), ["catalog", "photos"]);
  assert.equal(await page.inputValue("#path"), "no such thing");
  await page.press("#path", "Enter");
  await page.waitForSelector(".empty");
  assert.equal(await page.textContent("#shown"), "0 files");
  await close();
}

export async function pageThrough({ chrome, address }) {
  const { page, close } = await visit(chrome, address, { hash: "#catalog/photos/unsorted/" });
  assert.match(await page.textContent("#shown"), /the first 200, more below/);
  for (let round = 0; round < 100 && (await page.textContent("#shown")).includes("more below"); round++) {
    await page.$eval("#listing", (listing) => (listing.scrollTop = listing.scrollHeight));
    await page.waitForTimeout(30);
  }
  const shown = await page.textContent("#shown");
  const files = Number(shown.replace(/[^\d]/g, ""));
  assert.ok(files > 200, shown);
  assert.ok((await rows(page)).length < 80, "rows out of sight are not drawn");
  await page.click("#count");
  await page.waitForFunction(() => /keys below/.test(document.getElementById("count").textContent));
  assert.equal(Number((await page.textContent("#count")).replace(/[^\d]/g, "")), files);
  await close();
}

export async function directoriesFirst({ chrome, address }) {
  const { page, close } = await visit(chrome, address, { hash: "#play/" });
  const inOrder = await rows(page);
  await page.click("#tool-create");
  await page.fill("#ask-first", "a-file");
  await page.press("#ask-first", "Enter");
  await page.waitForFunction(
    (count) => document.querySelectorAll(".row").length === count,
    inOrder.length + 1,
  );
  assert.equal((await rows(page))[0], "a-file");
  await page.check("#directories-first");
  await page.waitForFunction(() => document.querySelector(".row").classList.contains("directory"));
  const sorted = await rows(page);
  assert.deepEqual(sorted.slice(-2), ["a-file", "readme.txt"]);
  await close();
}

export async function keyboard({ chrome, address }) {
  const { page, close } = await visit(chrome, address);
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
    await settled(page);
  };
  await page.keyboard.press("/");
  assert.equal(await page.evaluate(() => document.activeElement.id), "path");
  await page.keyboard.type("pho");
  await page.waitForSelector("#completions li");
  await press("Tab");
  assert.equal(await page.inputValue("#path"), "photos/");
  await press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "listing");
  assert.deepEqual(await crumbs(page), ["catalog", "photos"]);
  const all = await rows(page);
  await press("ArrowDown", "ArrowDown", "ArrowUp", "Enter");
  assert.deepEqual(await crumbs(page), ["catalog", "photos", all[1]]);
  await press("Backspace");
  assert.deepEqual(await crumbs(page), ["catalog", "photos"]);
  // Where it was before.
  assert.equal(await page.textContent(".row.active .name"), all[1]);
  assert.equal(await page.getAttribute(".row.active", "aria-selected"), "true");
  await press("End");
  assert.equal(await page.textContent(".row.active .name"), all.at(-1));
  await press("Home", "ArrowRight");
  assert.deepEqual(await crumbs(page), ["catalog", "photos", all[0]]);
  await press("c");
  await page.waitForFunction(() => /keys? below/.test(document.getElementById("count").textContent));
  await press("?");
  assert.ok(await page.isVisible("#keys"));
  await press("Escape");
  // Escape gives the box up, too.
  await page.keyboard.press("/");
  await page.keyboard.type("zzz");
  await press("Escape");
  assert.equal(await page.inputValue("#path"), `photos/${all[0]}/`);
  // The link for those who do not want to go through all of it.
  await page.evaluate(() => document.activeElement.blur());
  await page.focus("#skip");
  await press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement.id), "listing");
  assert.deepEqual(await crumbs(page), ["catalog", "photos", all[0]]);
  // All of it can be reached by Tab, and is seen where it is.
  const reached = new Set();
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press("Tab");
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.textContent));
  }
  for (const id of [
    "to-catalog",
    "to-play",
    "theme",
    "path",
    "directories-first",
    "listing",
    "count",
    "help",
  ]) {
    assert.ok(reached.has(id), `${id} is not reached by Tab: ${[...reached]}`);
  }
  await close();
}

export async function themes({ chrome, address, shoot }) {
  const ground = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await visit(chrome, address, { scheme: "light" });
  const dark = await visit(chrome, address, { scheme: "dark", hash: "#catalog/photos/" });
  const [bright, dim] = [await ground(light.page), await ground(dark.page)];
  assert.notEqual(bright, dim);
  await textsAreLegible(light.page);
  await textsAreLegible(dark.page);
  await shoot(dark.page, "catalog-dark");
  await light.page.click("#theme");
  assert.equal(await ground(light.page), dim);
  await textsAreLegible(light.page);
  // It is kept, and the system's theme does not matter any more.
  await light.page.reload();
  await ready(light.page);
  assert.equal(await ground(light.page), dim);
  await light.page.click("#theme");
  assert.equal(await ground(light.page), bright);
  await light.close();
  await dark.close();
}

export async function phone({ chrome, address, shoot }) {
  for (const [scheme, hash] of [
    ["light", "#catalog/photos/"],
    ["dark", "#play/photos/"],
  ]) {
    const { page, context, close } = await visit(chrome, address, { scheme, hash, width: 375, height: 720 });
    await nothingSticksOut(page);
    await choose(page, (await rows(page))[0]);
    await choose(page, (await rows(page))[0]);
    await choose(page, (await rows(page))[0]);
    await page.waitForSelector("#details h2");
    await nothingSticksOut(page);
    await everythingHasAName(page, context);
    await page.evaluate(() => scrollTo(0, 0));
    await shoot(page, `phone-${scheme}`);
    // What is touched is large enough to be hit.
    const small = await page.$$eval("button, .row", (all) =>
      all
        .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
        .filter(([, box]) => box.width > 0 && (box.height < 24 || box.width < 24))
        .map(([name]) => name),
    );
    assert.deepEqual(small, []);
    await close();
  }
}

function canOpenUrls(page) {
  return page.evaluate(async () => (await import("./store.js")).can.openUrl);
}

/** Opening and browsing fetches a small part of the file, counted by the page and by the server. */
export async function lazyOpening({ chrome, address, traffic, catalogBytes, skip }) {
  const { page, close } = await visit(chrome, address);
  if (!(await canOpenUrls(page))) {
    await close();
    return skip("this build of the package has no openUrl");
  }
  await close();
  traffic.bytes = traffic.requests = 0;
  const fresh = await visit(chrome, address, { hash: "#catalog/logs/web/2026/10/30/" });
  assert.ok((await rows(fresh.page)).length >= 12);
  await fresh.page.waitForTimeout(200);
  console.log(`   one directory: ${traffic.bytes} bytes of ${catalogBytes} in ${traffic.requests} requests`);
  assert.ok(traffic.bytes < OPENING_BYTES_MAX, `${traffic.bytes} bytes were fetched`);
  await fresh.page.click("#crumbs a >> nth=0");
  await settled(fresh.page);
  await fresh.page.waitForTimeout(200);
  assert.match(await fresh.page.textContent("#title"), /paths in one static file/);
  assert.ok(traffic.requests > 0 && traffic.bytes > 0, "nothing was fetched in ranges");
  assert.ok(traffic.bytes < catalogBytes / 10, `${traffic.bytes} bytes of ${catalogBytes} were fetched`);
  const shown = await figure(fresh.page, "fetched");
  const kilobytes = Number(shown.replace(/ KB$/, ""));
  assert.ok(
    Math.abs(kilobytes - traffic.bytes / 1000) < 1,
    `${shown} on screen, ${traffic.bytes} bytes sent`,
  );
  assert.equal(await figure(fresh.page, "requests"), String(traffic.requests));
  assert.match(await fresh.page.getAttribute("#map", "aria-label"), /[1-9]\d* of [\d,]+ touched/);
  console.log(`   and the top: ${traffic.bytes} bytes in ${traffic.requests} requests`);
  return fresh.close();
}

/** Another catalog is opened by its address, and one that is not there is told and replaced. */
export async function anotherCatalog({ chrome, address, skip }) {
  const { page, close } = await visit(chrome, address, {
    hash: "?catalog=/catalog.spinney#catalog/maps/tiles/",
  });
  if (!(await canOpenUrls(page))) {
    await close();
    return skip("this build of the package has no openUrl");
  }
  assert.ok((await rows(page)).length > 0);
  assert.match(await page.textContent("#title"), /in one static file/);
  await page.goto(`${address}/?catalog=none.spinney`);
  await ready(page);
  assert.match(await page.textContent("#notice"), /^There is no catalog at \/none\.spinney/);
  assert.match(await page.textContent("#title"), /50,000 paths in your browser/);
  assert.ok((await rows(page)).includes("photos"));
  return close({ allowed: ["none.spinney", "404"] });
}

/** After the first visit the page comes without its server. */
export async function offline({ chrome, site }) {
  const { address, close: endServer } = await serve(site);
  const { page, close } = await visit(chrome, address);
  await page.evaluate(async () => {
    const { active } = await navigator.serviceWorker.ready;
    while (active.state !== "activated") await new Promise((resolve) => setTimeout(resolve, 20));
  });
  endServer();
  await page.goto(`${address}/#play/`);
  await page.reload();
  await ready(page);
  assert.ok((await rows(page)).includes("readme.txt"));
  await page.click("#to-catalog");
  await settled(page);
  await page.waitForSelector(".row");
  await close({ allowed: ["ERR_CONNECTION_REFUSED", "was not opened", "Failed to fetch"] });
}
