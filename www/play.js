// The playground: what changes a database, each as a question, an answer with its time, and a look at which
// pages have changed.

import { ask } from "./ask.js";
import { counted, duration, keyText, number, size } from "./format.js";
import { changed, survey } from "./image-pages.js";
import { madeUp, sample } from "./made-up.js";
import { nameOf, parentOf } from "./place.js";
import { Store, can } from "./store.js";
import { PAGE_BYTES } from "./blob-map.js";
import { valueText } from "./details.js";

const NAME = "playground";
const BULK_FILES = 100_000;
// An image is a copy of everything: above this the map rests.
const SURVEYED_BYTES_MAX = 96e6;

/** What can be done, in the order of the buttons: id, label, key. */
export const ACTIONS = [
  ["create", "New file", "n"],
  ["rename", "Rename", "F2"],
  ["remove", "Remove", "Delete"],
  ["fill", `Add ${number(BULK_FILES)} files`, undefined],
  ["save", "Export", undefined],
  ["load", "Import", undefined],
  ["reset", "Start over", undefined],
];

/** Opens it: what was there when the page was left, where the browser can keep it. `say` tells why not. */
export async function openPlayground(say) {
  let store;
  if (can.openWorker) {
    try {
      store = await Store.openWorker(NAME);
    } catch (error) {
      say(`Not kept over a reload: ${error.message}`);
    }
  }
  store ??= await Store.memory();
  if ((await store.listQuietly("", { limit: 1 })).length === 0) {
    await store.putAll(sample());
    await store.sync();
  }
  return store;
}

export class Playground {
  #page;
  #surveyed;

  /**
   * `page` is what it changes: `store`, which it may replace, `map`, `listing`, and the functions
   * `reload(activate)`, `go(prefix)`, `say(text, button)`, `busy(text)` and `code(call, comment)`.
   */
  constructor(page) {
    this.#page = page;
  }

  get #store() {
    return this.#page.store;
  }

  /** Draws the map anew: the pages that have changed since are lit. Returns how many blobs they are in. */
  async look() {
    const { map } = this.#page;
    const { sizeBytes } = await this.#store.stats();
    if (sizeBytes > SURVEYED_BYTES_MAX) return undefined;
    const before = this.#surveyed;
    const now = survey(await this.#store.image());
    this.#surveyed = now;
    map.resize(now.bytes, { keep: true });
    map.clear(now.fills);
    if (before === undefined) return undefined;
    const pages = changed(before, now);
    for (const page of pages) map.touch(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    return { blobs: new Set(pages.map((page) => page >> 7)).size, of: now.fills.length, pages: pages.length };
  }

  async #after(said, { activate, button } = {}) {
    await this.#store.sync();
    const touched = await this.look();
    const where =
      touched && touched.blobs > 0
        ? ` ${counted(touched.pages, "page")} in ${touched.blobs} of ${counted(touched.of, "blob")} changed.`
        : "";
    this.#page.say(`${said}${where}`, button);
    await this.#page.reload(activate);
  }

  /** Runs an action by its id. */
  async run(id) {
    await this[id]();
  }

  async create() {
    const { prefix } = this.#page.listing;
    const folder = prefix.endsWith("/") || prefix === "" ? prefix : parentOf(prefix);
    await ask({
      heading: "New file",
      first: { label: "Path", value: `${folder}untitled.txt`, select: [folder.length, folder.length + 8] },
      second: { label: "Value", value: "" },
      yes: "Put",
      act: async (path, value) => {
        if (path === "" || path.endsWith("/"))
          throw new Error("A file needs a name. Directories come with their files.");
        const micros = await this.#timed(() => this.#store.put(path, value));
        this.#page.code(`put(${quoted(path)}, value)`, micros);
        await this.#after(`${path} was put in ${micros}.`, { activate: path });
      },
    });
    this.#page.listing.focus();
  }

  async edit(entry) {
    await ask({
      heading: keyText(nameOf(entry.key)),
      second: { label: "Value", value: valueText(entry.value) },
      yes: "Put",
      act: async (_, value) => {
        const micros = await this.#timed(() => this.#store.put(entry.key, value));
        await this.#after(`${entry.key} was put in ${micros}.`, { activate: entry.key });
      },
    });
  }

  async rename(entry = this.#page.listing.active, wanted = undefined) {
    if (!isNamed(entry)) return;
    const from = entry.key;
    const keys = entry.isPrefix ? await this.#store.countQuietly(from) : 1;
    const value = wanted ?? from;
    const start = wanted === undefined ? parentOf(value).length : 0;
    await ask({
      heading: entry.isPrefix ? `Rename a directory of ${counted(keys, "file")}` : "Rename a file",
      explanation: entry.isPrefix
        ? "The directory is cut out of the tree and tied in elsewhere; its files stay where" + " they are."
        : "",
      first: { label: "New path", value, select: [start, value.length - (entry.isPrefix ? 1 : 0)] },
      yes: "Rename",
      act: (to) => this.#move(entry, to, keys),
    });
    this.#page.listing.focus();
  }

  async #move(entry, typed, keys) {
    const from = entry.key;
    const to = entry.isPrefix && !typed.endsWith("/") ? `${typed}/` : typed;
    if (to === from) throw new Error("That is its name already.");
    if (to === "/" || to === "") throw new Error("It needs a name.");
    let done = false;
    const move = async () => {
      done = await (entry.isPrefix ? this.#store.renamePrefix(from, to) : this.#store.rename(from, to));
    };
    const took = await this.#timed(move);
    this.#page.code(
      `${entry.isPrefix ? "renamePrefix" : "rename"}(${quoted(from)}, ${quoted(to)})`,
      `${counted(keys, "file")}, ${took}`,
    );
    if (!done) throw new Error("It is not there any more.");
    const what = entry.isPrefix ? `${counted(keys, "file")} moved` : "Moved";
    await this.#after(`${what} from ${from} to ${to} in ${took}.`, { activate: to });
  }

  async remove(entry = this.#page.listing.active) {
    if (!isNamed(entry)) return;
    const { key, isPrefix } = entry;
    const keys = isPrefix ? await this.#store.countQuietly(key) : 1;
    await ask({
      heading: isPrefix ? `Remove ${counted(keys, "file")}?` : "Remove this file?",
      explanation: key,
      yes: "Remove",
      isDangerous: true,
      act: async () => {
        const remove = () => (isPrefix ? this.#store.removePrefix(key) : this.#store.remove(key));
        const took = await this.#timed(remove);
        this.#page.code(
          `${isPrefix ? "removePrefix" : "remove"}(${quoted(key)})`,
          `${counted(keys, "file")}, ${took}`,
        );
        await this.#after(`${key}${isPrefix ? `, ${counted(keys, "file")},` : ""} removed in ${took}.`);
      },
    });
    this.#page.listing.focus();
  }

  /** Many files, to have something to move. */
  async fill() {
    let folder = "bulk/";
    for (let number = 2; (await this.#store.countQuietly(folder)) > 0; number++) folder = `bulk-${number}/`;
    const done = this.#page.busy(`Putting files into ${folder}`);
    let micros;
    try {
      micros = await this.#store.putAll(madeUp(BULK_FILES, folder), (files) => {
        this.#page.busy(`Putting files into ${folder} ${number(files)}`);
      });
    } finally {
      done();
    }
    const said =
      `${number(BULK_FILES)} files put into ${folder} in ${duration(micros)},` +
      ` ${duration(micros / BULK_FILES)} each.`;
    const entry = { key: folder, isPrefix: true };
    const button = ["Rename all of them", () => this.rename(entry, `moved/${folder}`)];
    await this.#page.go("");
    await this.#after(said, { activate: folder, button });
  }

  /** As it was when it was opened for the first time. */
  async reset() {
    const keys = await this.#store.countQuietly("");
    await ask({
      heading: "Start over?",
      explanation: `${counted(keys, "file")} will be removed, and a few made-up ones put in their place.`,
      yes: "Start over",
      isDangerous: true,
      act: async () => {
        const took = await this.#timed(() => this.#store.removePrefix(""));
        await this.#store.putAll(sample());
        await this.#page.go("");
        await this.#after(`${counted(keys, "file")} removed in ${took}.`);
      },
    });
    this.#page.listing.focus();
  }

  async save() {
    const start = performance.now();
    const image = await this.#store.image();
    const took = duration((performance.now() - start) * 1000);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([image], { type: "application/octet-stream" }));
    link.download = `${NAME}.spinney`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
    this.#page.say(
      `Exported ${size(image.length)} in ${took}: a database that the native library and the command line` +
        " tool open as it is.",
    );
  }

  /** The database becomes what is in a file. */
  async load() {
    const input = document.getElementById("import");
    input.value = "";
    input.onchange = () => input.files[0] && this.#loadFile(input.files[0]);
    input.click();
  }

  async #loadFile(file) {
    const done = this.#page.busy(`Reading ${file.name}`);
    try {
      const start = performance.now();
      const loaded = await Store.fromImage(new Uint8Array(await file.arrayBuffer()));
      if (this.#store.kind === "memory") {
        await this.#page.replace(loaded);
      } else {
        await this.#store.removePrefix("");
        await this.#store.putAll(loaded.pairs());
      }
      const others = (await loaded.trees()).length - 1;
      const left = others > 0 ? ` ${counted(others, "other tree")} not shown.` : "";
      if (this.#store !== loaded) await loaded.close();
      const took = duration((performance.now() - start) * 1000);
      const keys = await this.#store.countQuietly("");
      this.#surveyed = undefined;
      await this.#page.go("");
      await this.#after(
        `${counted(keys, "file")} from ${file.name}, every checksum verified, in ${took}.${left}`,
      );
    } catch (error) {
      this.#page.say(`${file.name} was not imported: ${error.message}`);
    } finally {
      done();
    }
  }

  async #timed(run) {
    let last;
    const hear = (event) => (last = event.detail);
    this.#store.addEventListener("operation", hear);
    try {
      await run();
    } finally {
      this.#store.removeEventListener("operation", hear);
    }
    return duration(last.micros);
  }
}

function quoted(text) {
  return JSON.stringify(text);
}

/** Whether an entry can be named in a box for text. */
function isNamed(entry) {
  return entry !== undefined && typeof entry.key === "string";
}
