// The files of one directory: a list of any length, of which only the rows in view are in the document, and
// only the pages that were scrolled to are read.
//
// It knows a function that reads pages, and tells others what was chosen; of databases it knows nothing.

import { counted, day, facts, keyText, number, size } from "./format.js";
import { nameOf } from "./place.js";

const ROW = 38;
const PAGE_ROWS = 200;
// Directories come first only where all is read: up to here.
const SORTED_MAX = 2000;
const SPARE_ROWS = 8;

export class Listing extends EventTarget {
  #element;
  #spacer;
  #entries = [];
  #isDone = true;
  #reading;
  #read;
  #active = -1;
  #rows = new Map();
  #turn = 0;
  prefix = "";
  directoriesFirst = false;

  /** `element` is the list box. */
  constructor(element) {
    super();
    this.#element = element;
    this.#spacer = document.createElement("div");
    this.#spacer.className = "spacer";
    this.#spacer.setAttribute("role", "presentation");
    element.append(this.#spacer);
    element.addEventListener("scroll", () => this.#show(), { passive: true });
    element.addEventListener("click", (event) => this.#clicked(event));
    element.addEventListener("keydown", (event) => this.#pressed(event));
    new ResizeObserver(() => this.#show()).observe(element);
  }

  get entries() {
    return this.#entries;
  }

  get isDone() {
    return this.#isDone;
  }

  /** The entry that the keyboard is at. */
  get active() {
    return this.#entries[this.#active];
  }

  /**
   * Shows another directory. `read(after, limit)` gives a page of entries; `activate` is the key to begin at.
   * What is shown stays until the first page is there.
   */
  async open(prefix, read, activate = undefined) {
    const turn = ++this.#turn;
    this.#element.setAttribute("aria-busy", "true");
    let entries;
    let isDone;
    try {
      entries = await read(undefined, PAGE_ROWS);
      isDone = entries.length < PAGE_ROWS;
      if (this.directoriesFirst && !isDone && turn === this.#turn) {
        const rest = await read(entries.at(-1).key, SORTED_MAX - PAGE_ROWS);
        isDone = entries.length + rest.length < SORTED_MAX;
        entries = entries.concat(rest);
      }
    } finally {
      if (turn === this.#turn) this.#element.removeAttribute("aria-busy");
    }
    if (turn !== this.#turn) return false;
    this.prefix = prefix;
    this.#read = read;
    this.#reading = undefined;
    this.#isDone = isDone;
    this.#entries = this.#arranged(entries);
    this.#clear();
    this.#active = -1;
    this.#element.scrollTop = 0;
    this.#element.setAttribute(
      "aria-label",
      `Files in ${prefix === "" ? "the top directory" : keyText(prefix)}`,
    );
    const at = activate === undefined ? 0 : this.#entries.findIndex((entry) => entry.key === activate);
    if (this.#entries.length > 0) this.#activate(Math.max(0, at));
    this.#show();
    this.#tell("page");
    return true;
  }

  #arranged(entries) {
    if (!this.directoriesFirst || !this.#isDone) return entries;
    return entries.filter((entry) => entry.isPrefix).concat(entries.filter((entry) => !entry.isPrefix));
  }

  /** Writes into the last column of a directory's row, if it is on screen. */
  note(key, text) {
    for (const [index, row] of this.#rows) {
      if (this.#entries[index].key === key) {
        row.lastElementChild.textContent = text;
        row.setAttribute("aria-label", label(this.#entries[index], text));
      }
    }
  }

  focus() {
    this.#element.focus({ preventScroll: true });
  }

  // ----------------------------------------------------------------------- rows -----

  #clear() {
    for (const row of this.#rows.values()) row.remove();
    this.#rows.clear();
    this.#spacer.textContent = "";
  }

  #show() {
    const count = this.#entries.length;
    this.#spacer.style.height = `${Math.max(1, count) * ROW}px`;
    if (count === 0) return this.#showEmpty();
    const top = Math.floor(this.#element.scrollTop / ROW);
    const inView = Math.ceil(this.#element.clientHeight / ROW);
    const from = Math.max(0, top - SPARE_ROWS);
    const to = Math.min(count, top + inView + SPARE_ROWS);
    for (const [index, row] of this.#rows) {
      if (index >= from && index < to) continue;
      row.remove();
      this.#rows.delete(index);
    }
    const fresh = [];
    for (let index = from; index < to; index++) {
      if (this.#rows.has(index)) continue;
      const row = this.#row(index);
      this.#rows.set(index, row);
      this.#spacer.append(row);
      if (this.#entries[index].isPrefix) fresh.push(this.#entries[index].key);
    }
    this.#mark();
    if (fresh.length > 0) this.dispatchEvent(new CustomEvent("directories", { detail: fresh }));
    if (to + SPARE_ROWS >= count && !this.#isDone) this.#more();
  }

  #showEmpty() {
    this.#spacer.innerHTML = '<p class="empty">Nothing begins like this.</p>';
    this.#element.removeAttribute("aria-activedescendant");
  }

  #row(index) {
    const entry = this.#entries[index];
    const row = document.createElement("div");
    row.className = "row";
    row.id = `row-${index}`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-posinset", index + 1);
    row.setAttribute("aria-setsize", this.#isDone ? this.#entries.length : -1);
    row.style.transform = `translateY(${index * ROW}px)`;
    row.dataset.index = index;
    const said = entry.isPrefix ? undefined : facts(entry.value);
    const name = typeof entry.key === "string" ? nameOf(entry.key) : keyText(entry.key);
    const last = entry.isPrefix ? "" : sizeOf(entry, said);
    row.innerHTML =
      '<svg aria-hidden="true"><use></use></svg><span class="name"></span><span></span><span></span>';
    row.querySelector("use").setAttribute("href", entry.isPrefix ? "#icon-directory" : "#icon-file");
    row.classList.toggle("directory", entry.isPrefix);
    const [, nameCell, dayCell, lastCell] = row.children;
    nameCell.textContent = keyText(name.endsWith("/") ? name.slice(0, -1) : name) || "(no name)";
    nameCell.title = nameCell.textContent;
    dayCell.textContent = day(said?.mtime);
    lastCell.textContent = last;
    row.setAttribute("aria-label", label(entry, last, day(said?.mtime)));
    return row;
  }

  #mark() {
    for (const [index, row] of this.#rows) {
      const isActive = index === this.#active;
      row.setAttribute("aria-selected", isActive);
      row.classList.toggle("active", isActive);
    }
    if (this.#rows.has(this.#active))
      this.#element.setAttribute("aria-activedescendant", `row-${this.#active}`);
    else this.#element.removeAttribute("aria-activedescendant");
  }

  async #more() {
    if (this.#reading) return;
    const turn = this.#turn;
    this.#reading = this.#read(this.#entries.at(-1).key, PAGE_ROWS);
    let page;
    try {
      page = await this.#reading;
    } catch (error) {
      // Scrolling tries again.
      this.dispatchEvent(new CustomEvent("trouble", { detail: error }));
    }
    if (turn !== this.#turn) return;
    this.#reading = undefined;
    if (page === undefined) return;
    this.#isDone = page.length < PAGE_ROWS;
    this.#entries.push(...page);
    this.#show();
    this.#tell("page");
  }

  // --------------------------------------------------------------------- choices -----

  #tell(what) {
    this.dispatchEvent(new CustomEvent(what));
  }

  #activate(index) {
    this.#active = Math.min(Math.max(index, 0), this.#entries.length - 1);
    const top = this.#active * ROW;
    const view = this.#element.clientHeight;
    if (top < this.#element.scrollTop) this.#element.scrollTop = top;
    else if (top + ROW > this.#element.scrollTop + view) this.#element.scrollTop = top + ROW - view;
    this.#show();
    this.#tell("active");
  }

  #clicked(event) {
    const row = event.target.closest(".row");
    if (row === null) return;
    this.#activate(Number(row.dataset.index));
    this.#tell("choose");
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(this.#element.clientHeight / ROW) - 1);
    const steps = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -Infinity,
      End: Infinity,
    };
    if (event.key in steps) {
      const to = this.#active + steps[event.key];
      if (this.#entries.length > 0) this.#activate(to);
    } else if (event.key === "Enter" || event.key === "ArrowRight") {
      if (this.active) this.#tell("choose");
    } else if (event.key === "Backspace" || event.key === "ArrowLeft") {
      this.#tell("up");
    } else {
      return;
    }
    event.preventDefault();
  }
}

function sizeOf(entry, said) {
  const bytes = typeof said?.size === "number" ? said.size : entry.value?.length;
  return bytes === undefined ? "" : size(bytes);
}

function label(entry, last, changed = "") {
  const name = typeof entry.key === "string" ? nameOf(entry.key) : keyText(entry.key);
  return [name, entry.isPrefix ? "directory" : "file", last, changed].filter(Boolean).join(", ");
}

/** "12 directories, 214 files", and whether there is more. */
export function summary(listing) {
  const directories = listing.entries.filter((entry) => entry.isPrefix).length;
  const files = listing.entries.length - directories;
  const parts = [];
  if (directories > 0) parts.push(counted(directories, "directory", "directories"));
  if (files > 0 || directories === 0) parts.push(counted(files, "file"));
  const said = parts.join(", ");
  if (listing.isDone) return said;
  const order = listing.directoriesFirst ? " in the order of keys" : "";
  return `the first ${number(listing.entries.length)}${order}, more below`;
}
