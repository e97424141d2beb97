// Made-up files that look like real ones: what the playground is filled with, and the catalog where there is
// none to fetch. Deterministic; no path comes twice.

const PLACES = [
  "Aarhus",
  "Bergen",
  "Corfu",
  "Dresden",
  "Garden",
  "Iceland",
  "Lisbon",
  "Oslo",
  "Porto",
  "Vienna",
];
const SERVICES = ["auth", "billing", "edge", "feed", "mail", "orders", "search", "web"];
const HEADS = [
  "amber",
  "atlas",
  "birch",
  "cobalt",
  "ember",
  "falcon",
  "granite",
  "indigo",
  "kestrel",
  "willow",
];
const TAILS = ["cache", "client", "core", "diff", "graph", "io", "parser", "router", "stream", "utils"];
const SOURCES = [
  "cli",
  "config",
  "errors",
  "format",
  "index",
  "options",
  "parse",
  "plugin",
  "types",
  "utils",
];
const DAY_SECONDS = 86400;
const FIRST_DAY = 17532;

/** Spreads a number over 32 bits. */
function mix(number) {
  let bits = (number + 0x9e3779b9) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return (bits ^ (bits >>> 15)) >>> 0;
}

const two = (number) => String(number).padStart(2, "0");

function value(number, seconds, aboutBytes) {
  const size = (aboutBytes >> 1) + (mix(number) % aboutBytes);
  const mtime = `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
  return `{"size":${size},"mtime":"${mtime}","etag":"${mix(number).toString(16).padStart(8, "0")}"}`;
}

function photo(number) {
  if (number % 10 === 0)
    return [`photos/unsorted/PXL_${String(number).padStart(6, "0")}.jpg`, value(number, 1.79e9, 4e6)];
  const album = Math.floor(number / 90);
  const seconds = (FIRST_DAY + (mix(album) % 3200)) * DAY_SECONDS + (mix(number) % DAY_SECONDS);
  const date = new Date(seconds * 1000).toISOString().slice(0, 10);
  const folder = `${date.slice(0, 4)}/${date} ${PLACES[mix(album + 7) % 10]}`;
  return [`photos/${folder}/IMG_${String(1000 + number).padStart(6, "0")}.jpg`, value(number, seconds, 4e6)];
}

function log(number) {
  const day = Math.floor(number / (24 * SERVICES.length));
  const seconds = (20756 - day) * DAY_SECONDS;
  const date = new Date(seconds * 1000).toISOString().slice(0, 10).replaceAll("-", "/");
  const service = SERVICES[Math.floor(number / 24) % SERVICES.length];
  return [`logs/${service}/${date}/${service}-${two(number % 24)}.log.zst`, value(number, seconds, 7e5)];
}

function source(number) {
  const project = Math.floor(number / (SOURCES.length * 12));
  const round = project < 100 ? "" : project;
  const name = `${HEADS[project % 10]}-${TAILS[Math.floor(project / 10) % 10]}${round}`;
  const version = `${project % 7}.${Math.floor(number / SOURCES.length) % 12}.0`;
  const seconds = (FIRST_DAY + (mix(project) % 3000)) * DAY_SECONDS + (number % DAY_SECONDS);
  return [`npm/${name}/${version}/dist/${SOURCES[number % SOURCES.length]}.js`, value(number, seconds, 9000)];
}

const KINDS = [photo, log, photo, source, photo];

/** So many pairs of a path and a value, in directories below `folder`. */
export function* madeUp(files, folder = "") {
  const counts = new Map(KINDS.map((kind) => [kind, 0]));
  for (let number = 0; number < files; number++) {
    const kind = KINDS[number % KINDS.length];
    const own = counts.get(kind);
    counts.set(kind, own + 1);
    const [path, text] = kind(own);
    yield [folder + path, text];
  }
}

/** What a new playground begins with. */
export function* sample() {
  const text = (body) => JSON.stringify({ size: body.length, mtime: "2026-10-31T09:00:00Z", text: body });
  yield ["readme.txt", text("Everything here is yours: put, rename and remove what you like.")];
  yield ["notes/ideas.md", text("# Ideas\\n\\nAn index that is its own file server.")];
  yield ["notes/groceries.md", text("Bread, figs, olives.")];
  yield ["notes/2026/travel.md", text("Two weeks, by train.")];
  yield* madeUp(600);
}
