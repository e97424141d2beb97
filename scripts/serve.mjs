// A static file server for the demo page: byte ranges, entity tags, right types, and nothing above its
// folder.
//
//   node scripts/serve.mjs FOLDER [--port N] [--host ADDRESS]
//
// It needs nothing but Node.js. Any web server that knows byte ranges does as well; this one also isolates
// the page, which makes its clock finer.

import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, sep } from "node:path";
import { pipeline } from "node:stream";
import { pathToFileURL } from "node:url";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
};

const ALWAYS = {
  "accept-ranges": "bytes",
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "accept-ranges, content-length, content-range, etag",
  // Kept, but asked about: a demo is edited.
  "cache-control": "no-cache",
  "cross-origin-embedder-policy": "require-corp",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "cross-origin",
  "x-content-type-options": "nosniff",
};

/**
 * Serves a folder. Resolves to its address, and a function that ends it. `onSent` is told the path of every
 * file that is asked for, and how many bytes of it go out.
 */
export async function serve(folder, { port = 0, host = "127.0.0.1", onSent = () => {} } = {}) {
  const root = await realpath(folder);
  const server = createServer((request, response) => {
    answer(root, request, response, onSent).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, host, resolve));
  const name = host.includes(":") ? `[${host}]` : host;
  const close = () => {
    server.closeAllConnections();
    server.close();
  };
  return { address: `http://${name}:${server.address().port}`, close };
}

async function answer(root, request, response, onSent) {
  const say = (status, headers = {}) => response.writeHead(status, { ...ALWAYS, ...headers });
  if (request.method === "OPTIONS") {
    return say(204, { "access-control-allow-headers": "range, if-match, if-range" }).end();
  }
  if (request.method !== "GET" && request.method !== "HEAD") return say(405, { allow: "GET, HEAD" }).end();
  const file = await find(root, request.url);
  if (file === undefined) return say(404, { "content-type": "text/plain" }).end("not found\n");

  const etag = `"${file.size.toString(16)}-${Math.round(file.mtimeMs).toString(16)}"`;
  const headers = { etag, "content-type": TYPES[extname(file.path)] ?? "application/octet-stream" };
  const conditions = request.headers;
  if (conditions["if-match"] !== undefined && !names(conditions["if-match"], etag))
    return say(412, headers).end();
  if (names(conditions["if-none-match"], etag)) return say(304, headers).end();

  const isWanted = conditions["if-range"] === undefined || conditions["if-range"] === etag;
  const range = isWanted ? rangeOf(conditions.range, file.size) : undefined;
  if (range === null) return say(416, { ...headers, "content-range": `bytes */${file.size}` }).end();
  const [start, end] = range ?? [0, file.size];
  headers["content-length"] = end - start;
  if (range) headers["content-range"] = `bytes ${start}-${end - 1}/${file.size}`;
  say(range ? 206 : 200, headers);
  if (request.method === "HEAD" || end === start) return response.end();
  onSent(file.path, end - start);
  // Closes the file when the client goes, too.
  pipeline(createReadStream(file.path, { start, end: end - 1 }), response, () => {});
}

/** The file that an address names, if it lies in the folder, links followed. */
async function find(root, address) {
  try {
    let name = decodeURIComponent(new URL(address, "http://localhost").pathname);
    if (name.endsWith("/")) name += "index.html";
    const path = await realpath(join(root, name));
    if (!path.startsWith(root + sep)) return undefined;
    const { size, mtimeMs, isFile } = await stat(path).then((found) => ({
      ...found,
      isFile: found.isFile(),
    }));
    return isFile ? { path, size, mtimeMs } : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a list of entity tags names this one. */
function names(list, etag) {
  return list !== undefined && list.split(",").some((tag) => ["*", etag, `W/${etag}`].includes(tag.trim()));
}

/** The first byte and the end of a range; undefined for everything, null for nothing that is there. */
function rangeOf(header, size) {
  const found = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  // Several ranges may be answered with everything.
  if (found === null || (found[1] === "" && found[2] === "")) return undefined;
  const [first, last] = [found[1], found[2]];
  const start = first === "" ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === "" || last === "" ? size : Math.min(size, Number(last) + 1);
  return start < end ? [start, end] : null;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const [folder, ...rest] = process.argv.slice(2);
  const option = (name) => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined);
  const port = Number(option("--port") ?? 8080);
  try {
    const { address } = await serve(folder, { port, host: option("--host") });
    console.log(`the demo is at ${address}/ (end it with Ctrl-C)`);
  } catch (error) {
    const why =
      error.code === "EADDRINUSE" ? `port ${port} is in use: choose another with --port` : error.message;
    console.error(`serve.mjs: ${why}`);
    process.exit(1);
  }
}
