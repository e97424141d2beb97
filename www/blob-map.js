// A map of the blobs of a database: a tile for each, a dot for each of its 128 pages. Pages that were touched
// are lit, the latest brightest.
//
// It knows numbers of pages, and nothing of what is on them.

import { number } from "./format.js";

export const PAGE_BYTES = 4096;
export const BLOB_PAGES = 128;
const PAGES_ACROSS = 16;
const PAGES_DOWN = BLOB_PAGES / PAGES_ACROSS;
const HEIGHT_MAX = 250;
const ACROSS_MIN = 5;
const GAP = 3;
const GLOW_MILLIS = 1600;
const HALO = 0.3;

export class BlobMap {
  #canvas;
  #note;
  #pages = 0;
  /** For each page, when it was touched; 0 for never. */
  #touchedAt = new Float64Array(0);
  /** For each blob how strong its tile is drawn, 0 to 1, if anybody knows. */
  #fills = [];
  #touched = 0;
  #frame;
  /** What became of the pages that are lit. */
  verb = "touched";

  constructor(canvas, note) {
    this.#canvas = canvas;
    this.#note = note;
    new ResizeObserver(() => this.#draw()).observe(canvas.parentElement);
    for (const query of ["(prefers-color-scheme: dark)", "(prefers-reduced-motion: reduce)"]) {
      matchMedia(query).addEventListener("change", () => this.draw());
    }
  }

  /** How many pages were touched. */
  get touched() {
    return this.#touched;
  }

  get pages() {
    return this.#pages;
  }

  /** Another database, or the same with another length. */
  resize(bytes, { keep = false } = {}) {
    const pages = Math.ceil(bytes / PAGE_BYTES);
    if (keep && pages === this.#pages) return;
    const before = this.#touchedAt;
    this.#pages = pages;
    this.#touchedAt = new Float64Array(pages);
    if (keep) this.#touchedAt.set(before.subarray(0, pages));
    else this.#fills = [];
    this.#recount();
    this.draw();
  }

  /** The pages of these bytes were touched just now. */
  touch(start, end) {
    if (end > this.#pages * PAGE_BYTES) this.resize(end, { keep: true });
    const now = performance.now();
    for (let page = Math.floor(start / PAGE_BYTES); page * PAGE_BYTES < end; page++) {
      if (this.#touchedAt[page] === 0) this.#touched += 1;
      this.#touchedAt[page] = now;
    }
    this.draw();
  }

  /** Nothing was touched; the tiles are drawn as strong as their blobs are full. */
  clear(fills = this.#fills) {
    this.#fills = fills;
    this.#touchedAt.fill(0);
    this.#touched = 0;
    this.draw();
  }

  #recount() {
    this.#touched = this.#touchedAt.reduce((sum, at) => sum + (at > 0 ? 1 : 0), 0);
  }

  draw() {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#draw();
    });
  }

  #draw() {
    const blobs = Math.ceil(this.#pages / BLOB_PAGES);
    const width = this.#canvas.clientWidth;
    if (blobs === 0 || width === 0) return;
    const ratio = devicePixelRatio || 1;
    const grid = layout(blobs, width, ratio);
    const canvas = this.#canvas;
    const [wide, high] = [Math.round(width * ratio), Math.round(grid.height * ratio)];
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
      canvas.style.height = `${grid.height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, grid.height);
    const isMoving = this.#paint(context, grid, blobs);
    this.#tell(blobs);
    if (isMoving) this.draw();
  }

  // Whether something goes on to fade.
  #paint(context, grid, blobs) {
    const style = getComputedStyle(this.#canvas);
    const colour = (name) => style.getPropertyValue(name).trim();
    const colours = { empty: colour("--tile"), lit: colour("--lit"), bright: colour("--bright") };
    const isStill = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const now = isStill ? Infinity : performance.now();
    let isMoving = false;
    for (let blob = 0; blob < blobs; blob++) {
      const left = (blob % grid.across) * (grid.tileX + GAP);
      const top = Math.floor(blob / grid.across) * (grid.tileY + GAP);
      context.globalAlpha = 0.4 + 0.6 * (this.#fills[blob] ?? 1);
      context.fillStyle = colours.empty;
      context.fillRect(left, top, grid.tileX, grid.tileY);
      if (this.#isTouched(blob)) {
        // So that a blob is seen of which one page alone is lit.
        context.globalAlpha = HALO;
        context.fillStyle = colours.lit;
        context.fillRect(left, top, grid.tileX, grid.tileY);
      }
      for (let at = 0; at < BLOB_PAGES; at++) {
        const touchedAt = this.#touchedAt[blob * BLOB_PAGES + at];
        if (!(touchedAt > 0)) continue;
        const glow = 1 - (now - touchedAt) / GLOW_MILLIS;
        paintPage(context, grid, colours, left, top, at, glow);
        isMoving ||= glow > 0;
      }
    }
    context.globalAlpha = 1;
    return isMoving;
  }

  #isTouched(blob) {
    return this.#touchedAt.subarray(blob * BLOB_PAGES, (blob + 1) * BLOB_PAGES).some((at) => at > 0);
  }

  #tell(blobs) {
    let lit = 0;
    for (let blob = 0; blob < blobs; blob++) lit += this.#isTouched(blob) ? 1 : 0;
    const said = `${number(lit)} of ${number(blobs)} ${this.verb}`;
    this.#note.textContent = said;
    const label = `Map of the blobs: ${said}, ${number(this.#touched)} of ${number(this.#pages)} pages`;
    this.#canvas.setAttribute("aria-label", label);
  }
}

// Borders at whole pixels, so that neighbours leave no seam.
function paintPage(context, { pageX, pageY, ratio }, colours, left, top, at, glow) {
  const snap = (length) => Math.round(length * ratio) / ratio;
  const [column, row] = [at % PAGES_ACROSS, Math.floor(at / PAGES_ACROSS)];
  const [x, y] = [snap(left + column * pageX), snap(top + row * pageY)];
  const [wide, high] = [snap(left + (column + 1) * pageX) - x, snap(top + (row + 1) * pageY) - y];
  context.globalAlpha = 1;
  context.fillStyle = colours.lit;
  context.fillRect(x, y, wide, high);
  if (glow <= 0) return;
  context.globalAlpha = glow;
  context.fillStyle = colours.bright;
  context.fillRect(x, y, wide, high);
}

/** As few tiles in a row as keep the map from being too high; they fill the width. */
function layout(blobs, width, ratio) {
  for (let across = ACROSS_MIN; ; across++) {
    const tileX = (width + GAP) / across - GAP;
    const [pageX, pageY] = [tileX / PAGES_ACROSS, tileX / PAGES_ACROSS];
    const tileY = pageY * PAGES_DOWN;
    const height = Math.ceil(blobs / across) * (tileY + GAP) - GAP;
    if (height <= HEIGHT_MAX || tileX < 2 * GAP) return { across, tileX, tileY, pageX, pageY, height, ratio };
  }
}
