// A worker of a user that answers clients of the package, too.

import "/node_modules/spinney/worker.js";

addEventListener("message", ({ data }) => {
  if (data !== "no flush") return;
  FileSystemSyncAccessHandle.prototype.flush = () => {
    throw new DOMException("the disk is broken", "InvalidStateError");
  };
  postMessage("broken");
});
