// A worker of a user that answers clients of the package, too.

import "/node_modules/spinney/worker.js";
