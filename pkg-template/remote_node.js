// The same for Node.js, where no file has to be fetched: the whole module, so that "spinney" may stand beside it.

import { Spinney } from "./node.js";

export { Entry, init, initSync, RemoteEntries, RemoteSpinney, RemoteTree, SpinneyError } from "./node.js";

export function openUrl(url, options) {
  return Spinney.openUrl(url, options);
}
