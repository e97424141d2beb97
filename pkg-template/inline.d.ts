import type { WasmModule, WasmSource } from "./index.js";

export * from "./index.js";

/** Makes the module ready; nothing is fetched. Call it once before the first database. */
export function init(source?: WasmSource): Promise<void>;

/** The same at once. Browsers may refuse it outside of workers. */
export function initSync(module?: ArrayBuffer | ArrayBufferView | WasmModule): void;
