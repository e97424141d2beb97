// A static file server and a headless Chromium, for the tests that need them.

import { createServer } from "node:http";
import { readFile, rm } from "node:fs/promises";
import { existsSync } from "node:fs";
import { extname, join, normalize } from "node:path";
import { chromium } from "playwright-core";

const script = "text/javascript";
const types = { ".html": "text/html", ".js": script, ".mjs": script, ".wasm": "application/wasm" };
// A page that is isolated has a finer clock.
const isolated = {
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-embedder-policy": "require-corp",
};

/** Serves a folder; what `pages` has by a path comes first. Returns its address, and how to end it. */
export async function serve(folder, pages = {}) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, "http://localhost");
    try {
      const body = pages[pathname] ?? (await readFile(join(folder, normalize(pathname))));
      const type = { "content-type": types[extname(pathname)] ?? "text/html" };
      response.writeHead(200, { ...type, ...isolated }).end(body);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

const known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"];

export const executablePath = process.env.SPINNEY_CHROMIUM ?? known.find((path) => existsSync(path));
export const args = [...quiet, "--disable-background-networking", "--disable-component-update"];

export async function browser() {
  return chromium.launch({ executablePath, headless: true, args });
}

/** The same with a profile on the disk, as users have it: files of sites are real ones then. */
export async function profile(folder) {
  return chromium.launchPersistentContext(folder, { executablePath, headless: true, args });
}

/** What a page has put into `globalThis.result`. */
export async function resultOf(chrome, address, waitMs = 120000) {
  const page = await chrome.newPage();
  const errors = [];
  page.on("pageerror", (error) => errors.push(`${error.stack}`));
  page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  try {
    await page.goto(address);
    await page.waitForFunction(() => globalThis.result !== undefined, undefined, { timeout: waitMs });
    return await page.evaluate(() => globalThis.result);
  } catch (error) {
    throw new Error(`${address}: ${error.message}\n${errors.join("\n")}`);
  } finally {
    await page.close();
  }
}

/** A page that runs a module; packages by an import map if there is no bundler. */
export function html(module, imports) {
  const map = imports ? `<script type="importmap">${JSON.stringify({ imports })}</script>` : "";
  const head = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">';
  return `${head}${map}<script type="module" src="${module}"></script>`;
}

/** Removes a folder into which processes that are about to be gone may still write. */
export async function remove(folder) {
  for (let tries = 0; tries < 50; tries++) {
    try {
      return await rm(folder, { recursive: true, force: true });
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
