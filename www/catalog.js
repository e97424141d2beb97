// Opening the catalog: the file beside this page, or the one that `?catalog=` names, read over HTTP as it is
// touched. Where that cannot be, a smaller one is made in memory, and the page says so.

import { survey } from "./image-pages.js";
import { madeUp } from "./made-up.js";
import { number, size } from "./format.js";
import { Store, can } from "./store.js";

const MADE_UP_FILES = 50_000;
const SPINNEY =
  "Spinney is an embedded store for keys that are paths: one file, the same bytes in a native program and" +
  " in a browser.";

/** What the catalog view needs: `store`, `title`, `lead`, and `redraw` for its map. */
export async function openCatalog({ map, say }) {
  const url = new URL(
    new URLSearchParams(location.search).get("catalog") ?? "catalog.spinney",
    location.href,
  );
  if (can.openUrl) {
    try {
      return await openRemote(url, map);
    } catch (error) {
      console.warn(`The catalog at ${url} was not opened:`, error);
      say(
        `There is no catalog at ${url.pathname} (${error.message}). Here is one that was made on the spot.`,
      );
    }
  }
  return openMadeUp(map);
}

async function openRemote(url, map) {
  // What has come, to draw the map again when its view is left and entered.
  const ranges = [];
  const store = await Store.openUrl(url.href, (start, end) => {
    ranges.push([start, end]);
    if (document.body.dataset.view === "catalog") map.touch(start, end);
  });
  const [{ sizeBytes }, paths] = await Promise.all([store.stats(), pathsOf(url)]);
  const redraw = () => {
    map.resize(sizeBytes);
    for (const [start, end] of ranges) map.touch(start, end);
  };
  const lead =
    SPINNEY +
    ` You are looking into one of ${size(sizeBytes)} on a plain web server. Nothing runs there:` +
    " the page fetches the few pages that it touches.";
  return { store, redraw, title: `${paths} in one static file.`, lead };
}

/**
 * How many paths it has, as whoever made it noted beside it: to count them would read a page of every blob.
 */
async function pathsOf(url) {
  try {
    const { paths } = await (await fetch(url.href.replace(/\.spinney$/, ".json"))).json();
    return paths === 1_000_000 ? "A million paths" : `${number(paths)} paths`;
  } catch {
    return "A catalog";
  }
}

async function openMadeUp(map) {
  const store = await Store.memory();
  await store.putAll(madeUp(MADE_UP_FILES));
  const { bytes, fills } = survey(await store.image());
  const redraw = () => {
    map.resize(bytes);
    map.clear(fills);
  };
  const lead = SPINNEY + ` This catalog was made up on the spot, and lies in ${size(bytes)} of memory.`;
  return { store, redraw, title: `${number(MADE_UP_FILES)} paths in your browser.`, lead };
}
