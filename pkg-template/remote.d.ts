import type { RemoteOptions, RemoteSpinney, Spinney, WasmModule, WasmSource } from "./index.js";

export { Entry, RemoteEntries, RemoteSpinney, RemoteTree, SpinneyError } from "./index.js";
export type {
  Bytes, Key, ListOptions, RemoteOptions, RemoteStats, ScanOptions, SpinneyErrorCode, Version, WasmModule, WasmSource,
} from "./index.js";

/**
 * Loads the module that only reads. {@link openUrl} does it by itself; call it to load it earlier, or from somewhere
 * else: its file is `spinney/remote.wasm`.
 *
 * @throws `LoadFailed`
 */
export function init(source?: WasmSource): Promise<void>;

/** The same at once. Browsers may refuse it outside of workers. */
export function initSync(module: ArrayBuffer | ArrayBufferView | WasmModule): void;

/**
 * Opens a database file that lies on a web server, as `Spinney.openUrl` does.
 *
 * ```js
 * import { openUrl } from "spinney/remote";
 *
 * const db = await openUrl("https://example.org/catalog.spinney");
 * for await (const { key, isPrefix } of db.tree("files").list("photos/")) console.log(key, isPrefix);
 * ```
 *
 * @throws what `Spinney.openUrl` throws, and `LoadFailed`
 */
export function openUrl(url: Parameters<typeof Spinney.openUrl>[0], options?: RemoteOptions): Promise<RemoteSpinney>;
