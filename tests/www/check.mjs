// Runs the tests of the demo page: node check.mjs SITE SCREENSHOTS PATHS. See scripts/demo --check.

import { statSync } from "node:fs";
import { join } from "node:path";
import { browser } from "./chromium.mjs";
import * as catalog from "./catalog.mjs";
import { closeAll } from "./page.mjs";
import * as playground from "./playground.mjs";
import * as server from "./server.mjs";
import { serve } from "./serve.mjs";

const [site, screenshots] = process.argv.slice(2);
const only = process.env.SPINNEY_WWW_ONLY;

// What the server has sent of the catalog.
const traffic = { bytes: 0, requests: 0 };
const onSent = (path, bytes) => {
  if (!path.endsWith(".spinney")) return;
  traffic.bytes += bytes;
  traffic.requests += 1;
};

const { address, close } = await serve(site, { onSent });
const chrome = await browser();
const shoot = (page, name) => page.screenshot({ path: join(screenshots, `${name}.png`) });
const catalogBytes = statSync(join(site, "catalog.spinney")).size;

let failed = 0;
let skipped = 0;
let ran = 0;
for (const [name, test] of Object.entries({ ...server, ...catalog, ...playground })) {
  if (only && only !== name) continue;
  ran += 1;
  const start = performance.now();
  let result = "ok";
  const skip = (why) => {
    result = `SKIPPED: ${why}`;
    skipped += 1;
  };
  try {
    await test({ chrome, address, site, shoot, traffic, catalogBytes, skip });
  } catch (error) {
    const told = await closeAll();
    result = `FAILED: ${[error.stack, ...told].join("\n")}`;
    failed += 1;
  }
  console.log(`${name}: ${result} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
}
await chrome.close();
close();
if (ran === 0) {
  console.error(`there is no test called ${only}`);
  process.exit(1);
}
if (skipped > 0) console.log(`${skipped} NOT TESTED, see above`);
if (failed > 0) {
  console.error(`${failed} tests of the demo page failed`);
  process.exit(1);
}
console.log("the demo page is as it should be");
