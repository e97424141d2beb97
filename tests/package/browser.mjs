// The package in Chromium: as it is, and through each bundler.

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runRemote } from "./remote.mjs";
import { browser, html, resultOf, serve } from "./serve.mjs";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const expected = "archive/,photos/ 100 photo 13 true";
const chrome = await browser();
const imports = {
  spinney: "/node_modules/spinney/index.js",
  "spinney/inline": "/node_modules/spinney/inline.js",
  "spinney/remote": "/node_modules/spinney/remote.js",
};
// Two packages in one page: what the small module says is compared with what the whole one does.
const importsOfBoth = { ...imports, spinney: "/node_modules/spinney-whole/index.js" };

async function show(name, address, wanted = expected) {
  assert.equal(await resultOf(chrome, address), wanted, name);
  console.log(`${name}: as expected`);
}

async function served(name, folder, pages, path, wanted) {
  const server = await serve(folder, pages);
  try {
    await show(name, server.address + path, wanted);
  } finally {
    server.close();
  }
}

async function plain() {
  const pages = {
    "/tests.html": html("/app/tests.js", imports),
    "/main.html": html("/app/main.js", imports),
    "/inline.html": html("/app/inline.js", imports),
    "/reader.html": html("/app/reader.js", imports),
  };
  const server = await serve(here, pages);
  const { passed, failed } = JSON.parse(await resultOf(chrome, `${server.address}/tests.html`, 300000));
  assert.deepEqual(failed, []);
  console.log(`${passed} tests passed in Chromium ${chrome.version()}`);
  await show("without a bundler", `${server.address}/main.html`);
  await show("inline without a bundler", `${server.address}/inline.html`, "inline");
  await show("only reading, without a bundler", `${server.address}/reader.html`, "small");
  server.close();
}

// The data come from another origin than the page, as they mostly do.
async function overHttp() {
  await runRemote(async ({ served }) => {
    const script = `/app/remote.js?served=${encodeURIComponent(served.address)}`;
    const pages = { "/remote.html": html(script, imports), "/only.html": html(`${script}&only`, importsOfBoth) };
    const server = await serve(here, pages);
    for (const page of Object.keys(pages)) {
      const { passed, failed, told } = JSON.parse(await resultOf(chrome, server.address + page, 300000));
      assert.deepEqual(failed, []);
      console.log(`${page}: ${passed} tests of reading over HTTP passed in Chromium: ${told}`);
    }
    server.close();
  });
}

async function withVite() {
  const { build, createServer } = await import("vite");
  const root = join(here, "vite");
  mkdirSync(root, { recursive: true });
  for (const name of ["main", "inline", "reader"]) {
    copyFileSync(join(here, "app", `${name}.js`), join(root, `${name}.js`));
    writeFileSync(join(root, `${name}.html`), html(`/${name}.js`));
  }
  const input = ["main", "inline", "reader"].map((name) => join(root, `${name}.html`));
  const config = { root, logLevel: "warn", configFile: false, optimizeDeps: { exclude: ["spinney"] } };
  await build({ ...config, build: { rollupOptions: { input }, chunkSizeWarningLimit: 2000 } });
  await served("Vite, built", join(root, "dist"), {}, "/main.html");
  await served("Vite, built, inline", join(root, "dist"), {}, "/inline.html", "inline");
  await served("Vite, built, only reading", join(root, "dist"), {}, "/reader.html", "small");
  // The packages lie above its root, and as links.
  const local = { port: 0, host: "127.0.0.1", fs: { strict: false } };
  const server = await createServer({ ...config, server: local });
  await server.listen();
  await show("Vite, dev server", `http://127.0.0.1:${server.httpServer.address().port}/main.html`);
  await server.close();
}

async function withWebpack() {
  const { default: webpack } = await import("webpack");
  const path = join(here, "webpack");
  const entry = Object.fromEntries(["main", "inline", "reader"].map((name) => [name, join(here, `app/${name}.js`)]));
  const stats = await new Promise((resolve, reject) => {
    const config = { mode: "production", context: here, entry, output: { path }, performance: { hints: false } };
    webpack(config, (error, done) => (error ? reject(error) : resolve(done)));
  });
  assert.ok(!stats.hasErrors() && !stats.hasWarnings(), stats.toString());
  const pages = Object.fromEntries(Object.keys(entry).map((name) => [`/${name}.html`, html(`/${name}.js`)]));
  await served("webpack", path, pages, "/main.html");
  await served("webpack, inline", path, pages, "/inline.html", "inline");
  await served("webpack, only reading", path, pages, "/reader.html", "small");
}

async function withEsbuild() {
  const { build } = await import("esbuild");
  const outdir = join(here, "esbuild");
  const entryPoints = ["main", "inline", "reader"].map((name) => join(here, `app/${name}.js`));
  await build({ entryPoints, bundle: true, format: "esm", outdir, logLevel: "warning" });
  // It leaves workers alone: theirs is a bundle of its own, where the page's bundle looks for it.
  const worker = { entryPoints: [join(here, "node_modules/spinney/worker.js")], outfile: join(outdir, "worker.js") };
  await build({ ...worker, bundle: true, format: "esm", logLevel: "warning" });
  mkdirSync(join(outdir, "wasm"), { recursive: true });
  for (const file of ["wasm/spinney.wasm", "wasm/remote.wasm"]) {
    copyFileSync(join(here, "node_modules/spinney", file), join(outdir, file));
  }
  const pages = Object.fromEntries(["main", "inline", "reader"].map((name) => [`/${name}.html`, html(`/${name}.js`)]));
  await served("esbuild, the wasm beside it", outdir, pages, "/main.html");
  await served("esbuild, inline", outdir, pages, "/inline.html", "inline");
  await served("esbuild, only reading", outdir, pages, "/reader.html", "small");
  const loaded = join(here, "esbuild-loader");
  const source = 'import url from "spinney/spinney.wasm"; import { init, Spinney } from "spinney";'
    + "init(new URL(url, location.href)).then(() => { const db = Spinney.memory(); db.put('a', 'by its loader');"
    + " globalThis.result = db.getText('a'); }, (error) => { globalThis.result = String(error); });";
  const stdin = { contents: source, resolveDir: here };
  const loader = { ".wasm": "file" };
  await build({ stdin, bundle: true, format: "esm", outfile: join(loaded, "main.js"), loader, logLevel: "warning" });
  await served("esbuild, a loader", loaded, { "/main.html": html("/main.js") }, "/main.html", "by its loader");
}

try {
  await plain();
  await overHttp();
  await withVite();
  await withWebpack();
  await withEsbuild();
} finally {
  await chrome.close();
}
