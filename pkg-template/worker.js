// The worker behind Spinney.openWorker, and, for a worker of one's own, the module to import there:
// import "spinney/worker". It takes messages that are marked as its own, and leaves all others alone.

import { init, Spinney } from "./index.js";
import { serve } from "./face/server.js";

serve(self, init, Spinney);
