// A page that only reads over HTTP, as each bundler builds it: its module is found, and is the small one.

import { initSync, openUrl, SpinneyError } from "spinney/remote";

async function main() {
  let error;
  try {
    await openUrl(new URL("/nothing.spinney", location.href));
  } catch (thrown) {
    error = thrown;
  }
  if (!(error instanceof SpinneyError) || error.code !== "NotFound") throw new Error(`nothing there: ${error}`);
  initSync(new Uint8Array(0)); // nothing is loaded twice
  const loaded = performance.getEntriesByType("resource").filter(({ name }) => /\.wasm/.test(name));
  return loaded.map(({ decodedBodySize }) => (decodedBodySize < 500_000 ? "small" : "large")).join();
}

main().then(
  (result) => (globalThis.result = result),
  (error) => (globalThis.result = String(error.stack)),
);
