// What objects share with the database they come from: whether it is open. And their finalizers: an object
// that is collected gives back what it has in the wasm module.

import { closed } from "./errors.js";
import { wasm } from "./memory.js";

const databases = new FinalizationRegistry((id) => wasm.spinney_close(id));
const children = new FinalizationRegistry(({ scope, free, handle }) => {
  if (!scope.closed) free(scope.id, handle, scope);
});

/** A database or a snapshot, open or closed. */
export class Scope {
  /** The handle of the database. */
  id;
  closed = false;
  /** Who does in the background what writes leave to be done; none for databases in memory. */
  keeper;
  #what;
  /** The scope of the database, of which this is a snapshot. */
  #parent;
  /** The snapshots of this database. */
  #inner = new Set();

  constructor(id, what = "database", parent = undefined) {
    this.id = id;
    this.#what = what;
    this.#parent = parent;
    if (parent) {
      parent.#inner.add(this);
    } else {
      databases.register(this, id, this);
    }
  }

  check() {
    if (this.closed) throw closed(this.#what);
  }

  /** To be called after every write. */
  wrote() {
    if (this.keeper !== undefined) this.keeper.wrote();
  }

  /** Closes it; false if it was closed before. What it has in the module is given back by `free`. */
  close(free) {
    if (this.closed) return false;
    this.closed = true;
    for (const inner of this.#inner) inner.closed = true;
    this.#inner.clear();
    this.#parent?.#inner.delete(this);
    if (!this.#parent) databases.unregister(this);
    free(this.id);
    return true;
  }
}

/** The scope of whatever was closed on its own. */
export const nowhere = new Scope(0, "handle of this tree");
nowhere.close(() => {});

/** Gives a handle back when the object is collected. Whoever has the token can do it before. */
export function adopt(object, scope, free, handle, token = object) {
  children.register(object, { scope, free, handle }, token);
}

/** Gives a handle back at once. */
export function release(token, scope, free, handle) {
  disown(token);
  if (!scope.closed) free(scope.id, handle);
}

/** The handle is gone already. */
export function disown(token) {
  children.unregister(token);
}
