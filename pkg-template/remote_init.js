// Loading the module that only reads over HTTP. Where the whole one is there already, that serves.

import load, { initSync as loadSync } from "./wasm/remote_glue.js";
import { loader } from "./face/load.js";

export const { loadFrom, initSync } = loader(load, loadSync, "spinney_remote", false);
