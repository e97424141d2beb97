// What a worker does with the requests of a client (client.js): each has a number, and is answered by one
// message. Requests are run in the order in which they come.
//
// Writes that are to be durable are answered when a sync after them has returned. All that came in meanwhile
// shares one: so many writers that do not wait for each other are as fast as one that does not sync.

import { SpinneyError } from "./errors.js";

// Entries of a page, and about how many bytes of values.
const PAGE_ENTRIES = 256;
const PAGE_BYTES = 256 << 10;

/** Serves all databases that clients ask a worker for. */
export function serve(scope, init, Spinney) {
  scope.addEventListener("message", ({ data }) => {
    if (data?.spinney !== "open") return;
    const { port, name, options, source, life } = data;
    open(port, life, async () => {
      await init(source);
      return Spinney.openOpfs(name, options);
    }, options?.durability ?? "sync");
  });
}

async function open(port, life, run, durability) {
  // Whoever waits for this lock learns that the worker has gone.
  let end;
  try {
    end = await new Promise((held, refused) => {
      navigator.locks.request(life, () => new Promise((release) => held(release))).catch(refused);
    });
    port.postMessage({ id: "held" });
    new Server(port, await run(), durability === "sync", end);
    port.postMessage({ id: 0 });
  } catch (error) {
    port.postMessage({ id: 0, error: told(error) });
    end?.();
  }
}

/** An error as a message: what SpinneyError has is put together again on the other side. */
function told(error) {
  const { code, message, ...fields } = { ...error, message: error?.message ?? String(error) };
  delete fields.cause;
  return { code: error instanceof SpinneyError ? code : "Failed", message, fields };
}

/** What a sync that has failed means for a batch before it: as a batch tells that syncs by itself. */
function unknown({ message: reason }) {
  const message = `the batch was applied, but nobody knows whether it is stored: open the database again (${reason})`;
  return { code: "OutcomeUnknown", message, fields: { reason } };
}

class Server {
  #port;
  #db;
  #isSync;
  #end;
  #trees = new Map();
  #pages = new Map();
  #nextPage = 1;
  // Answers that wait for a sync; and the messages to itself that end the wait.
  #unsynced = [];
  #turn = new MessageChannel();

  constructor(port, db, isSync, end) {
    this.#port = port;
    this.#db = db;
    this.#end = end;
    this.#isSync = isSync;
    this.#turn.port1.onmessage = () => this.#settle();
    port.onmessage = ({ data }) => this.#run(data);
  }

  #run({ id, method, tree, durability, args }) {
    try {
      if (method in writes) {
        const isSync = durability === undefined ? this.#isSync : durability === "sync";
        const result = writes[method](this, tree, ...args);
        if (!isSync) return this.#answer({ id, result });
        this.#unsynced.push({ id, result, isBatch: method === "commit" });
        if (this.#unsynced.length === 1) this.#turn.port2.postMessage(0);
      } else if (method in reads) {
        this.#answer(reads[method](this, tree, ...args), id);
      } else if (method === "close") {
        this.#close(id);
      } else {
        throw new SpinneyError("InvalidArgument", `there is no request ${method}`);
      }
    } catch (error) {
      this.#port.postMessage({ id, error: told(error) });
    }
  }

  // An answer, or a result whose buffers are handed over.
  #answer(answer, id) {
    if (id === undefined) return this.#port.postMessage(answer);
    const { result, transfer = [] } = answer;
    this.#port.postMessage({ id, result }, transfer);
  }

  #settle() {
    const answers = this.#unsynced;
    this.#unsynced = [];
    if (answers.length === 0) return;
    let error;
    try {
      this.#db.sync();
    } catch (refused) {
      error = told(refused);
    }
    for (const { id, result, isBatch } of answers) {
      if (error) this.#port.postMessage({ id, error: isBatch ? unknown(error) : error });
      else this.#port.postMessage({ id, result });
    }
  }

  async #close(id) {
    this.#settle();
    this.#turn.port1.close();
    try {
      await this.#db.close();
      this.#port.postMessage({ id });
    } catch (error) {
      this.#port.postMessage({ id, error: told(error) });
    }
    this.#end();
  }

  get db() {
    return this.#db;
  }

  /** A tree whose writes do not sync: this class does. */
  tree(name) {
    if (name === undefined) return this.#default();
    let tree = this.#trees.get(name);
    if (tree === undefined) {
      const made = this.#db.tree(name);
      tree = made.withDurability("buffered");
      made.close();
      this.#trees.set(name, tree);
    }
    return tree;
  }

  // The default tree is made by the first write: to read from it, the database will do.
  #default() {
    return this.#trees.get(undefined) ?? this.#db;
  }

  toWrite(name) {
    if (name === undefined && !this.#trees.has(name)) {
      this.#trees.set(name, this.#db.withDurability("buffered"));
    }
    return this.tree(name);
  }

  forget(...names) {
    for (const name of names) {
      this.#trees.delete(name);
      if (name === "default") this.#trees.delete(undefined);
    }
  }

  iterate(entries) {
    const number = this.#nextPage++;
    this.#pages.set(number, entries);
    return this.turn(number);
  }

  /** The next page of an iteration; one that is at its end is gone. */
  turn(number) {
    const entries = this.#pages.get(number);
    const rows = [];
    const values = [];
    let bytes = 0;
    let isDone = entries === undefined;
    while (!isDone && rows.length < 3 * PAGE_ENTRIES && bytes < PAGE_BYTES) {
      const { value: entry, done } = this.#next(number, entries);
      if (done) {
        isDone = true;
        break;
      }
      const { key, value, version } = entry;
      rows.push(key, version, value === undefined ? -1 : value.length);
      if (value?.length) values.push(value);
      bytes += value?.length ?? 0;
    }
    if (isDone) this.#pages.delete(number);
    const arena = new Uint8Array(bytes);
    let at = 0;
    for (const value of values) {
      arena.set(value, at);
      at += value.length;
    }
    return { result: { page: isDone ? 0 : number, rows, arena }, transfer: [arena.buffer] };
  }

  // An iteration that has failed is over.
  #next(number, entries) {
    try {
      return entries.next();
    } catch (error) {
      this.#pages.delete(number);
      throw error;
    }
  }

  leave(number) {
    this.#pages.get(number)?.close();
    this.#pages.delete(number);
  }
}

const plain = (result) => ({ result });
const owned = (bytes) => ({ result: bytes, transfer: bytes === undefined ? [] : [bytes.buffer] });
const entryOf = (entry) => entry && { key: entry.key, version: entry.version, value: entry.value };

const reads = {
  get: (server, tree, key) => owned(server.tree(tree).get(key)),
  getText: (server, tree, key) => plain(server.tree(tree).getText(key)),
  getEntry: (server, tree, key) => plain(entryOf(server.tree(tree).getEntry(key))),
  getMany: (server, tree, keys) => plain(server.tree(tree).getMany(keys)),
  contains: (server, tree, key) => plain(server.tree(tree).contains(key)),
  count: (server, tree, prefix) => plain(server.tree(tree).count(prefix)),
  longestPrefix: (server, tree, path) => plain(entryOf(server.tree(tree).longestPrefix(path))),
  list: (server, tree, prefix, options) => server.iterate(server.tree(tree).list(prefix, options)),
  scan: (server, tree, prefix, options) => server.iterate(server.tree(tree).scan(prefix, options)),
  turn: (server, tree, page) => server.turn(page),
  leave: (server, tree, page) => plain(server.leave(page)),
  trees: (server) => plain(server.db.trees()),
  stats: (server) => plain(server.db.stats()),
  check: (server) => plain(server.db.check()),
  image: (server) => owned(server.db.image()),
  sync: (server) => plain(server.db.sync()),
  checkpoint: (server) => plain(server.db.checkpoint()),
};

const writes = {
  put: (server, tree, ...args) => server.toWrite(tree).put(...args),
  putIfAbsent: (server, tree, ...args) => server.toWrite(tree).putIfAbsent(...args),
  compareAndPut: (server, tree, ...args) => server.toWrite(tree).compareAndPut(...args),
  remove: (server, tree, ...args) => server.toWrite(tree).remove(...args),
  removeIf: (server, tree, ...args) => server.toWrite(tree).removeIf(...args),
  rename: (server, tree, ...args) => server.toWrite(tree).rename(...args),
  renamePrefix: (server, tree, ...args) => server.toWrite(tree).renamePrefix(...args),
  removePrefix: (server, tree, ...args) => server.toWrite(tree).removePrefix(...args),
  dropTree(server, tree, name) {
    server.forget(name);
    return server.db.dropTree(name);
  },
  renameTree(server, tree, from, to) {
    server.forget(from, to);
    return server.db.renameTree(from, to);
  },
  commit(server, tree, steps) {
    const batch = server.db.batch().durability("buffered");
    try {
      for (const [step, of, ...args] of steps) batch[step](server.toWrite(of), ...args);
      return batch.commit();
    } finally {
      batch.close();
    }
  },
};
