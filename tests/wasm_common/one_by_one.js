// The face of the package and its tests, for the module that they are compiled into: loaded file by file, each
// after those that it imports, so that the browser never asks for more than one at once. When a page opens more
// connections at a time than the server of wasm-bindgen's test runner has threads, which are four, some of them may
// never be answered.
//
// A file that stands behind one that imports it would be loaded with others: tests/wasm.rs looks at the order.

export const loaded = [
  "/pkg-template/face/errors.js",
  "/pkg-template/face/files.js",
  "/pkg-template/face/memory.js",
  "/pkg-template/face/opfs.js",
  "/pkg-template/face/scope.js",
  "/pkg-template/face/entries.js",
  "/pkg-template/face/tree.js",
  "/pkg-template/face/transaction.js",
  "/pkg-template/face/batch.js",
  "/pkg-template/face/source.js",
  "/pkg-template/face/remote.js",
  "/pkg-template/face/client.js",
  "/pkg-template/face/keeper.js",
  "/pkg-template/face/database.js",
  "/pkg-template/face/face.js",
  "/tests/wasm_common/assert.js",
  "/tests/wasm_common/face.js",
  "/tests/wasm_common/together.js",
];

const modules = new Map();
for (const path of loaded) modules.set(path, await import(`../..${path}`));

export const { attach, Spinney } = modules.get("/pkg-template/face/face.js");
export const face = modules.get("/tests/wasm_common/face.js");
export const together = modules.get("/tests/wasm_common/together.js");
