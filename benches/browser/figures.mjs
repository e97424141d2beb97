// Draws what the case `browser` has measured, and prints it as tables of Markdown: docs/benchmarks.md has
// both.
//
//   cargo run --release --manifest-path benches/Cargo.toml -- browser --json > browser.jsonl
//   node benches/browser/figures.mjs browser.jsonl docs/plots/browser.svg

import { readFileSync, writeFileSync } from "node:fs";

const [from, to] = process.argv.slice(2);
const rows = readFileSync(from, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const samples = rows.filter((row) => row.median !== undefined);
const sizes = [...new Set(samples.map((row) => row.keys))].sort((a, b) => a - b);

const PLACES = { memory: "In memory", files: "In files of the site" };
const STORES = {
  spinney: ["Spinney", "#1a7f37"],
  map: ["Map, sorted keys", "#8c8c8c"],
  sqlite: ["SQLite", "#2f6fb5"],
  indexeddb: ["IndexedDB", "#d9822b"],
  "by hand": ["a page written and flushed by hand", "#c9c9c9"],
};
const MICROS = { us: 1, ms: 1000 };

const of = (place) => samples.filter((row) => row.family === place);
const metricsOf = (place) => [...new Set(of(place).map((row) => row.metric))];
const storesOf = (place) =>
  Object.keys(STORES).filter((store) => of(place).some((row) => row.store === store));
const find = (place, keys, metric, store) =>
  of(place).find((row) => row.keys === keys && row.metric === metric && row.store === store);

/** Three digits are as many as mean something. */
function short(number) {
  const digits = number >= 100 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(number)));
  return Number(number.toFixed(digits)).toLocaleString("en-US", { maximumFractionDigits: 3 });
}

const sizeName = (keys) => (keys >= 1e6 ? `${keys / 1e6} M` : `${keys / 1e3} k`);

// ------------------------------------------------------------------ tables -----

function table(place) {
  const stores = storesOf(place);
  const columns = sizes.flatMap((keys) => stores.map((store) => [keys, store]));
  const heading = columns.map(([keys, store]) => `${store}, ${sizeName(keys)}`);
  const lines = [["", ...heading], ["---", ...columns.map(() => "--:")]];
  for (const metric of metricsOf(place)) {
    const cells = columns.map(([keys, store]) => find(place, keys, metric, store));
    const { unit } = cells.find((cell) => cell !== undefined);
    lines.push([`${metric}, ${unit}`, ...cells.map((cell) => (cell ? short(cell.median) : ""))]);
  }
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function goals() {
  const verdict = (pass) => (pass === null ? "not measured" : pass ? "met" : "**missed**");
  const lines = [["Goal", "Measured", ""], ["---", "--:", "---"]];
  for (const row of rows.filter((each) => each.goal !== undefined)) {
    lines.push([row.goal, row.measured, verdict(row.pass)]);
  }
  return lines.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

// -------------------------------------------------------------------- plot -----

const LABELS = 190;
const AXIS = 420;
const PANEL = LABELS + AXIS + 70;
const BAR = 11;
const GAP = 9;
const TOP = 96;
// The axis of times, in powers of ten of a microsecond.
const [LOW, HIGH] = [-2, 6];
const place = (micros) => ((Math.log10(micros) - LOW) / (HIGH - LOW)) * AXIS;
const POWERS = { "-2": "10 ns", "-1": "", 0: "1 \u00b5s", 1: "", 2: "", 3: "1 ms", 4: "", 5: "", 6: "1 s" };

const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;");
const at = (x, y) => `x="${x.toFixed(1)}" y="${y.toFixed(1)}"`;
const text = (x, y, words, more = "") => `<text ${at(x, y)} ${more}>${escaped(words)}</text>`;
const rect = (x, y, width, height, fill) =>
  `<rect ${at(x, y)} width="${width.toFixed(1)}" height="${height}" fill="${fill}"/>`;

/** A row of bars, one for each store that has this metric. Returns where the next row begins. */
function bars(out, left, y, name, cells, widthOf) {
  const start = y;
  for (const cell of cells) {
    const width = Math.max(1.5, widthOf(cell));
    out.push(rect(left + LABELS, y, width, BAR - 1, STORES[cell.store][1]));
    const number = `${short(cell.median)} ${cell.unit === "us" ? "\u00b5s" : cell.unit}`;
    out.push(text(left + LABELS + width + 4, y + BAR - 2.5, number, 'class="number"'));
    y += BAR;
  }
  out.push(text(left + LABELS - 8, (start + y) / 2 + 4, name, 'text-anchor="end"'));
  return y + GAP;
}

function panel(out, left, where, keys) {
  const metrics = metricsOf(where).filter((metric) => !metric.includes("SQLite's pool"));
  const stores = storesOf(where);
  const cellsOf = (metric) => stores.map((store) => find(where, keys, metric, store)).filter(Boolean);
  const times = metrics.filter((metric) => MICROS[cellsOf(metric)[0]?.unit]);
  const inside = [];
  let y = TOP + 26;
  for (const metric of times) {
    y = bars(inside, left, y, metric, cellsOf(metric), (cell) => place(cell.median * MICROS[cell.unit]));
  }
  const heading = `${PLACES[where]}, ${keys.toLocaleString("en-US")} paths`;
  out.push(text(left + LABELS, TOP - 6, heading, 'class="head"'));
  for (const [power, name] of Object.entries(POWERS)) {
    const x = left + LABELS + place(10 ** power);
    out.push(`<line x1="${x}" x2="${x}" y1="${TOP + 20}" y2="${y - 4}" class="grid"/>`);
    if (name) out.push(text(x, TOP + 14, name, 'text-anchor="middle" class="axis"'));
  }
  out.push(...inside);
  for (const metric of metrics.filter((each) => !times.includes(each))) {
    const cells = cellsOf(metric);
    const most = Math.max(...cells.map((cell) => cell.median));
    y = bars(out, left, y + 14, metric, cells, (cell) => (cell.median / most) * AXIS * 0.8);
  }
  return y;
}

function plot() {
  const keys = sizes.at(-1);
  const out = [];
  const places = Object.keys(PLACES).filter((where) => metricsOf(where).length > 0);
  const heights = places.map((where, index) => panel(out, index * PANEL, where, keys));
  const [width, height] = [places.length * PANEL, Math.max(...heights) + 16];
  const title = "Spinney in Chromium: shorter is better; every line of the grid is ten times the one before";
  const head = [text(20, 30, title, 'class="title"')];
  let x = 20;
  for (const [name, color] of Object.values(STORES)) {
    head.push(rect(x, 46, 12, 12, color), text(x + 17, 56, name));
    x += 40 + name.length * 7;
  }
  const style = "text{font:12px sans-serif;fill:#24292f}.title{font-size:17px;font-weight:bold}"
    + ".head{font-size:14px;font-weight:bold}.number{font-size:10px}.axis{font-size:10px;fill:#57606a}"
    + ".grid{stroke:#d8dee4;stroke-width:1}";
  const open = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img"`;
  const ground = rect(0, 0, width, height, "#ffffff");
  const start = [`${open} aria-label="${title}">`, `<style>${style}</style>`, ground];
  return [...start, ...head, ...out, "</svg>", ""].join("\n");
}

writeFileSync(to, plot());
for (const [where, name] of Object.entries(PLACES)) console.log(`${name}\n\n${table(where)}\n`);
console.log(goals());
