// The same of the entry that carries the wasm.

import { init, Spinney } from "spinney/inline";

init().then(
  () => {
    const db = Spinney.memory();
    db.put("a", "inline");
    globalThis.result = db.getText("a");
  },
  (error) => (globalThis.result = `failed: ${error.stack}`),
);
