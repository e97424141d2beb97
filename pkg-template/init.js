// Loading the whole module.

import load, { initSync as loadSync } from "./wasm/glue.js";
import { loader } from "./face/load.js";

export const { loadFrom, initSync } = loader(load, loadSync, "spinney_memory", true);
