// Runs app/opfs_bench_worker.js in Chromium, with a profile on the disk, and prints what it has measured.

import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { html, profile, remove, serve } from "./serve.mjs";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const folder = mkdtempSync(join(process.env.SPINNEY_BENCH_FOLDER ?? tmpdir(), "spinney-bench-"));
const server = await serve(here, { "/bench.html": html("/app/none.js") });
const context = await profile(folder);
try {
  const beside = existsSync(join(here, "node_modules/@sqlite.org/sqlite-wasm"));
  const page = await context.newPage();
  await page.goto(`${server.address}/bench.html`);
  const { results, failed } = await page.evaluate((task) => new Promise((resolve) => {
    const worker = new Worker("/app/opfs_bench_worker.js", { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => resolve({ failed: event.message ?? "the worker could not be loaded" });
    worker.postMessage(task);
  }), { beside });
  if (failed) throw new Error(failed);
  for (const [name, number] of Object.entries(results)) console.log(name.padEnd(54), number.toFixed(1).padStart(12));
} finally {
  await context.close();
  server.close();
  await remove(folder);
}
