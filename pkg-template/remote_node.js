// The same for Node.js: the .wasm is a file there, so all is ready when this module has been imported.

import { readFileSync } from "node:fs";
import { initSync } from "./remote_init.js";

export { initSync } from "./remote_init.js";
export { Entry } from "./face/entries.js";
export { SpinneyError } from "./face/errors.js";
export { openUrl, RemoteEntries, RemoteSpinney, RemoteTree } from "./face/remote.js";

initSync(readFileSync(new URL("./wasm/remote.wasm", import.meta.url)));

export async function init() {}
