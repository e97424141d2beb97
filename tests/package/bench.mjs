// Runs app/bench.js in Chromium and prints what it has measured: microseconds, unless said otherwise.

import { browser, html, resultOf, serve } from "./serve.mjs";

const here = import.meta.dirname ?? new URL(".", import.meta.url).pathname;
const pages = { "/bench.html": html("/app/bench.js", { spinney: "/node_modules/spinney/index.js" }) };
const server = await serve(here, pages);
const chrome = await browser();
const text = await resultOf(chrome, `${server.address}/bench.html`, 900000);
await chrome.close();
server.close();
if (!text.startsWith("{")) throw new Error(text);
const { counts, results } = JSON.parse(text);
console.log(["".padEnd(42), ...counts.map((count) => `${count} paths`.padStart(16))].join(""));
for (const name of Object.keys(results[0])) {
  console.log([name.padEnd(42), ...results.map((each) => each[name].toFixed(3).padStart(16))].join(""));
}
