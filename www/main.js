// The page: two views over the same elements, a catalog that is read from a static file and a playground that
// can be written. Here they are opened, and what is chosen, typed and pressed becomes a place in the address.

import { Address } from "./address.js";
import { BlobMap } from "./blob-map.js";
import { openCatalog } from "./catalog.js";
import { showCode } from "./code.js";
import { isEditable, showDetails } from "./details.js";
import { Log, showFigures } from "./figures.js";
import { counted, duration, number, size } from "./format.js";
import { Listing, summary } from "./listing.js";
import { busy, hideNotice, say, trouble } from "./notice.js";
import { addressOf, here, nameOf, parentOf } from "./place.js";
import { ACTIONS, Playground, openPlayground } from "./play.js";

const element = (id) => document.getElementById(id);

const listing = new Listing(element("listing"));
const map = new BlobMap(element("map"), element("map-note"));
const log = new Log(element("log"));
const address = new Address(element("address"), (text, limit) => view.store.listQuietly(text, { limit }));
const details = element("details");

/**
 * What each view has once it is open: `store`, `lead`, `play`, and how many paths there are if that is known.
 */
const views = new Map();
let view = { name: undefined };

// ------------------------------------------------------------------------ views -----

const OPEN = {
  catalog: () => openCatalog({ map, say }),
  play: async () => {
    const store = await openPlayground(say);
    return { store };
  },
};

/** Opens what the address says, and closes nothing: a view goes on where it was left. */
async function follow() {
  const { view: name, prefix } = here();
  if (view.name !== name) await enter(name);
  if (view.name === name) await open(prefix);
}

async function enter(name) {
  view = views.get(name) ?? { name, prefix: undefined };
  document.body.dataset.view = name;
  for (const [id, of] of [
    ["to-catalog", "catalog"],
    ["to-play", "play"],
  ]) {
    if (of === name) element(id).setAttribute("aria-current", "page");
    else element(id).removeAttribute("aria-current");
  }
  hideNotice();
  log.clear();
  if (view.store === undefined) await start(name);
  if (view.name !== name) return;
  element("tools").hidden = !view.store.isWritable || name !== "play";
  lead();
  await remap();
  figures();
}

async function start(name) {
  const opened = view;
  const done = busy(name === "catalog" ? "Opening the catalog" : "Opening the playground");
  try {
    Object.assign(opened, await OPEN[name]());
  } finally {
    done();
  }
  views.set(name, opened);
  opened.store.addEventListener("operation", (event) => heard(opened, event.detail));
  if (name === "play") opened.play = new Playground(pageOf(opened));
}

/** What the playground may use of the page. */
function pageOf(opened) {
  return {
    get store() {
      return opened.store;
    },
    map,
    listing,
    say,
    busy,
    reload,
    go,
    code,
    async replace(store) {
      await opened.store.close();
      opened.store = store;
      store.addEventListener("operation", (event) => heard(opened, event.detail));
    },
  };
}

async function remap() {
  map.verb = view.play ? "changed" : "touched";
  map.clear([]);
  if (view.play) await view.play.look();
  else if (view.redraw) view.redraw();
}

function heard(of, operation) {
  if (of !== view) return;
  log.add(operation);
  figures();
}

function lead() {
  const isPlay = view.name === "play";
  element("title").textContent = isPlay ? "Rename a directory of any size, in a blink." : view.title;
  element("lead").textContent = isPlay ? playLead() : view.lead;
  element("keys").classList.toggle("play", isPlay);
  element("map-legend").textContent = legend();
  document.title = `${isPlay ? "Playground" : "Catalog"} \u00b7 Spinney`;
}

function playLead() {
  const kept =
    view.store.kind === "worker"
      ? "It lives in this browser's own storage and is there again after a reload, a crash included."
      : "It lives in memory, and is gone with the page: export it to keep it.";
  return (
    "The same engine, writable. A directory is a subtree: it moves as one, whatever is in it. Add 100,000" +
    ` files, and move them. ${kept}`
  );
}

function legend() {
  const scale = "A tile is a blob of 512 KiB, a dot a page of 4 KiB.";
  if (view.store.kind === "url") return `${scale} Lit: fetched.`;
  return view.play
    ? `${scale} Lit: changed by the last write.`
    : `${scale} The fuller a blob, the stronger its tile.`;
}

async function figures() {
  const { store } = view;
  const last = log.last === undefined ? "\u2013" : duration(log.last.micros);
  const stats = await store.stats();
  if (store !== view.store) return;
  const share = element("share");
  if (store.kind === "url") {
    const bytes = stats.sizeBytes ?? map.pages * 4096;
    showFigures(element("figures"), [
      [size(store.bytesFetched), `fetched, of ${size(bytes)}`],
      [number(store.requests), "requests"],
      [number(map.touched), `pages touched, of ${number(Math.ceil(bytes / 4096))}`],
      [last, "engine, last operation"],
    ]);
    share.hidden = false;
    share.firstElementChild.style.width = `${Math.max(0.1, (store.bytesFetched / bytes) * 100)}%`;
    return;
  }
  share.hidden = true;
  showFigures(element("figures"), [
    [number(stats.keys), "files"],
    [size(stats.sizeBytes), `in ${counted(stats.blobs, "blob")}`],
    [`${Math.round(stats.fill * 100)} %`, "of the blobs in use"],
    [last, store.kind === "worker" ? "last operation, through the worker" : "last operation"],
  ]);
}

// ------------------------------------------------------------------ directories -----

function go(prefix) {
  const to = addressOf(view.name, prefix);
  if (location.hash === to) return open(prefix);
  history.pushState(null, "", to);
  return open(prefix);
}

async function open(prefix, activate = undefined, { isQuiet = false } = {}) {
  const { store, name } = view;
  // A link may have gone elsewhere by the time this is shown: the page is told of that later.
  const place = location.hash;
  let isShown;
  try {
    const page = (after, limit) => store[isQuiet ? "listQuietly" : "list"](prefix, { after, limit });
    isShown = await listing.open(prefix, page, activate);
  } catch (error) {
    trouble(error, () => open(prefix, activate));
    if (place === location.hash) document.body.dataset.place = place;
    return;
  }
  if (!isShown || name !== view.name) return;
  document.body.dataset.place = place;
  view.prefix = prefix;
  address.show(prefix);
  crumbs(prefix);
  details.hidden = true;
  element("up").disabled = prefix === "";
  if (!isQuiet) code(`list(${JSON.stringify(prefix)})`);
}

function code(call, comment = undefined) {
  showCode(element("code"), view.store.kind, call, comment);
}

/** The same directory again, after a write; the nearest one above it that is still there. */
async function reload(activate) {
  let prefix = view.prefix ?? "";
  if (activate !== undefined && !activate.startsWith(prefix)) prefix = parentOf(activate);
  while (prefix !== "" && (await view.store.listQuietly(prefix, { limit: 1 })).length === 0)
    prefix = parentOf(prefix);
  history.replaceState(null, "", addressOf(view.name, prefix));
  // What was moved deep below is shown by the directory on the way to it.
  const inside = activate?.startsWith(prefix) ? activate.slice(prefix.length) : "";
  const first = inside.indexOf("/");
  await open(prefix, first >= 0 ? prefix + inside.slice(0, first + 1) : activate, { isQuiet: true });
  figures();
}

function crumbs(prefix) {
  const list = element("crumbs");
  const parts = prefix.split("/");
  const rest = parts.pop();
  const items = [["", view.name === "play" ? "playground" : "catalog"]];
  parts.forEach((part, index) =>
    items.push([`${parts.slice(0, index + 1).join("/")}/`, part || "(no name)"]),
  );
  if (rest !== "") items.push([prefix, `${rest}\u2026`]);
  list.replaceChildren(
    ...items.map(([path, text], index) => {
      const item = document.createElement("li");
      const link = document.createElement("a");
      link.href = addressOf(view.name, path);
      link.textContent = text;
      if (index === items.length - 1) link.setAttribute("aria-current", "location");
      item.append(link);
      return item;
    }),
  );
  list.lastElementChild.scrollIntoView?.({ block: "nearest", inline: "end" });
}

async function choose() {
  const entry = listing.active;
  if (entry === undefined) return;
  if (!entry.isPrefix) return show(entry);
  if (typeof entry.key === "string") await go(entry.key);
  else say("The name of this directory is no UTF-8: the page cannot open it, though the library can.");
}

function show(entry) {
  const onClose = () => {
    details.hidden = true;
    listing.focus();
  };
  const canEdit = view.play && typeof entry.key === "string" && isEditable(entry.value);
  const onEdit = canEdit ? () => view.play.edit(entry) : undefined;
  showDetails(details, entry, { onClose, onEdit });
  if (matchMedia("(max-width: 900px)").matches) details.scrollIntoView({ block: "nearest" });
}

async function up() {
  const prefix = view.prefix ?? "";
  if (prefix === "") return;
  const child = prefix.endsWith("/") ? prefix : undefined;
  const parent = parentOf(prefix);
  history.pushState(null, "", addressOf(view.name, parent));
  await open(parent, child);
  listing.focus();
}

/** What was typed: a directory, a key, or the beginning of some. */
async function goTo(text) {
  delete document.body.dataset.place;
  try {
    if (text !== "" && !text.endsWith("/")) {
      if ((await view.store.get(text)) !== undefined) return await goToFile(text);
      if ((await view.store.listQuietly(`${text}/`, { limit: 1 })).length > 0) text += "/";
    }
    await go(text);
  } catch (error) {
    trouble(error, () => goTo(text));
    document.body.dataset.place = location.hash;
  }
  listing.focus();
}

async function goToFile(key) {
  // A listing of what begins with the key has it in front.
  await go(key);
  if (listing.active?.key === key) show(listing.active);
  listing.focus();
}

async function count() {
  const prefix = view.prefix ?? "";
  try {
    const keys = await view.store.count(prefix);
    element("count").textContent = `${counted(keys, "key")} below ${prefix || "the top"}`;
  } catch (error) {
    trouble(error, count);
  }
}

// ---------------------------------------------------------------------- what is done -----

function themed() {
  const other = spinneyTheme.current === "dark" ? "light" : "dark";
  element("theme").setAttribute("aria-label", `Switch to the ${other} theme`);
  element("theme").title = `Switch to the ${other} theme`;
  map.draw();
}

async function act(id) {
  try {
    await view.play.run(id);
  } catch (error) {
    trouble(error, () => act(id));
  }
}

function wire() {
  listing.addEventListener("choose", choose);
  listing.addEventListener("up", up);
  listing.addEventListener("trouble", (event) => trouble(event.detail, () => open(view.prefix)));
  listing.addEventListener("page", () => {
    element("shown").textContent = summary(listing);
    element("count").textContent = "Count the keys below";
  });
  listing.addEventListener("directories", (event) => view.store.kind !== "url" && countAll(event.detail));
  address.addEventListener("go", (event) => goTo(event.detail));
  address.addEventListener("leave", () => listing.focus());
  element("up").addEventListener("click", up);
  element("count").addEventListener("click", count);
  element("directories-first").addEventListener("change", (event) => {
    listing.directoriesFirst = event.target.checked;
    open(view.prefix ?? "", listing.active?.key);
  });
  element("theme").addEventListener("click", () => {
    spinneyTheme.toggle();
    themed();
  });
  element("skip").addEventListener("click", (event) => {
    // The address belongs to directories.
    event.preventDefault();
    listing.focus();
  });
  element("help").addEventListener("click", () => element("keys").showModal());
  for (const [id, label, key] of ACTIONS) {
    const button = document.createElement("button");
    button.type = "button";
    button.id = `tool-${id}`;
    button.textContent = label;
    if (key) button.setAttribute("aria-keyshortcuts", key);
    button.addEventListener("click", () => act(id));
    element("tools").append(button);
  }
  addEventListener("hashchange", follow);
  addEventListener("keydown", pressed);
}

/** Where counting costs nothing, every directory says how much is in it. */
async function countAll(directories) {
  const { store } = view;
  for (const key of directories) {
    const keys = await store.countQuietly(key);
    if (store !== view.store) return;
    listing.note(key, counted(keys, "file"));
  }
}

function pressed(event) {
  const isTyping = event.target.closest("input, textarea, dialog") !== null;
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  const action = ACTIONS.find(([, , key]) => key === event.key);
  if (event.key === "/") address.focus();
  else if (event.key === "?") element("keys").showModal();
  else if (event.key === "c") count();
  else if (action && view.play) act(action[0]);
  else return;
  event.preventDefault();
}

async function main() {
  wire();
  themed();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", themed);
  try {
    await follow();
    document.body.dataset.ready = "yes";
  } catch (error) {
    trouble(error, () => location.reload());
  }
  // Serving the page where there is no network is worth nothing before it is shown.
  if ("serviceWorker" in navigator) {
    navigator.serviceWorker.register("service-worker.js").catch(() => {});
  }
}

main();
