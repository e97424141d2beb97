// The server of the demo: ranges, conditions, types, and nothing above its folder.

import assert from "node:assert/strict";
import { request } from "node:http";
import { statSync } from "node:fs";
import { join } from "node:path";

/** As `fetch`, but the path goes out as it is. */
function ask(address, path, headers = {}, method = "GET") {
  const { hostname, port } = new URL(address);
  return new Promise((resolve, reject) => {
    const sent = request({ hostname, port, path, headers, method }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("end", () =>
        resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts) }),
      );
    });
    sent.on("error", reject);
    sent.end();
  });
}

export async function serving({ address, site }) {
  const size = statSync(join(site, "catalog.spinney")).size;
  const range = (text, more = {}) => ask(address, "/catalog.spinney", { range: text, ...more });
  for (const [text, start, end] of [
    ["bytes=0-4095", 0, 4096],
    ["bytes=4096-4096", 4096, 4097],
    [`bytes=${size - 10}-`, size - 10, size],
    ["bytes=-100", size - 100, size],
    [`bytes=${size - 1}-${size + 999}`, size - 1, size],
  ]) {
    const { status, headers, body } = await range(text);
    assert.equal(status, 206, text);
    assert.equal(headers["content-range"], `bytes ${start}-${end - 1}/${size}`);
    assert.equal(body.length, end - start);
  }
  assert.equal((await range(`bytes=${size}-`)).status, 416);
  assert.equal((await range("bytes=9-5")).status, 416);
  const { headers } = await ask(address, "/catalog.spinney", {}, "HEAD");
  assert.equal(headers["content-length"], String(size));
  assert.equal((await range("bytes=0-9", { "if-match": headers.etag })).status, 206);
  assert.equal((await range("bytes=0-9", { "if-match": '"another"' })).status, 412);
  assert.equal((await range("bytes=0-9", { "if-range": headers.etag })).status, 206);
  assert.equal(
    (await ask(address, "/icon.svg", { range: "bytes=0-9", "if-range": '"another"' })).status,
    200,
  );
  assert.equal((await ask(address, "/catalog.spinney", { "if-none-match": headers.etag })).status, 304);

  const type = async (path) => (await ask(address, path)).headers["content-type"];
  assert.match(await type("/"), /^text\/html/);
  assert.match(await type("/main.js"), /^text\/javascript/);
  assert.equal(await type("/pkg/wasm/spinney.wasm"), "application/wasm");
  assert.equal((await ask(address, "/main.js", {}, "POST")).status, 405);
  for (const path of [
    "/../serve.mjs",
    "/..%2f..%2f..%2fCargo.toml",
    "/%2e%2e/%2e%2e/Cargo.toml",
    "/pkg/../../../../Cargo.toml",
    "/%00",
    "/%zz",
    "//etc/passwd",
    "/pkg",
    "/nothing",
  ]) {
    assert.equal((await ask(address, path)).status, 404, path);
  }
}
