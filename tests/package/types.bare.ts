// A project that knows neither the types of a browser nor those of Node.js.

import { init, Spinney } from "spinney";
import { Spinney as Inline } from "spinney/inline";

await init();
const db: Spinney = Spinney.memory();
const text: string | undefined = db.getText("a");
const same: typeof Spinney = Inline;
export { db, text, same };
