// A database in a worker, for the main thread: the same calls, each of which returns a promise. server.js
// answers them.

import { Entry } from "./entries.js";
import { SpinneyError, closed, invalid } from "./errors.js";
import { isBytes, keep } from "./memory.js";
import { checkedName, isBuffered, readOpenOptions } from "./opfs.js";

// A worker of the caller's own that does not answer for so long has nothing of this package in it.
const ANSWER_MS = 30_000;
// An answer that is on its way may come a moment after the worker's lock.
const LAST_ANSWER_MS = 200;

// A view is sent with all that is behind it, and what is shared is not copied at all.
function own(arg) {
  const isView = isBytes(arg) && (arg.length !== arg.buffer.byteLength || !(arg.buffer instanceof ArrayBuffer));
  return isView ? new Uint8Array(arg) : arg;
}

function entryOf(found) {
  if (found === undefined) return undefined;
  const { key, version, value } = found;
  return new Entry(key, version, false, value, 0, value.length);
}

/** The requests that are under way. */
class Line {
  #port;
  #pending = new Map();
  #next = 0;
  // Why nothing can be asked any more.
  #end;
  /** Called when the worker has got the first message. */
  onheld = undefined;

  constructor(port) {
    this.#port = port;
    port.onmessage = ({ data: { id, result, error } }) => {
      if (id === "held") return this.onheld?.();
      const waiting = this.#pending.get(id);
      this.#pending.delete(id);
      if (error) waiting?.reject(new SpinneyError(error.code, error.message, error.fields));
      else waiting?.resolve(result);
    };
    port.onmessageerror = () => this.end(died("an answer could not be read"));
  }

  /** The answer to the request that comes next; the first one is told with the port itself. */
  next() {
    if (this.#end) return Promise.reject(this.#end);
    return new Promise((resolve, reject) => this.#pending.set(this.#next++, { resolve, reject }));
  }

  ask(method, tree, durability, args) {
    const id = this.#next;
    const answer = this.next();
    if (this.#end) return answer;
    try {
      this.#port.postMessage({ id, method, tree, durability, args: args.map(own) });
    } catch (error) {
      // What cannot be sent is neither bytes nor text.
      this.#pending.get(id).reject(invalid("an argument", `a value that can be sent: ${error.message}`));
      this.#pending.delete(id);
    }
    return answer;
  }

  /** Lets all that is under way, and all that comes, fail. */
  end(error) {
    this.#end ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
    // If the worker is there after all, it closes the database, and others can have it.
    this.#port.postMessage({ id: -1, method: "close", args: [] });
    this.#port.close();
  }
}

function died(why) {
  const message = `the worker has gone (${why}): open the database again; what was acknowledged is there`;
  return new SpinneyError("WorkerDied", message);
}

function ownWorker() {
  try {
    // Bundlers look for exactly this expression.
    return new Worker(new URL("../worker.js", import.meta.url), { type: "module" });
  } catch (cause) {
    const message = `the browser does not start the worker (${cause?.message ?? cause}): serve the package from the origin of `
      + "the page, or give a worker of your own that imports spinney/worker";
    throw new SpinneyError("NotSupported", message, { cause });
  }
}

const LINE = Symbol("line");
const NAME = Symbol("name");

/** A tree of a database in a worker. */
export class TreeClient {
  #durability;

  constructor(line, name, durability) {
    this[LINE] = line;
    this[NAME] = name;
    this.#durability = durability;
  }

  #ask(method, ...args) {
    return this[LINE].ask(method, this[NAME], this.#durability, args);
  }

  withDurability(durability) {
    isBuffered(durability);
    return new TreeClient(this[LINE], this[NAME], durability);
  }

  get(key) {
    return this.#ask("get", key);
  }

  getText(key) {
    return this.#ask("getText", key);
  }

  async getEntry(key) {
    return entryOf(await this.#ask("getEntry", key));
  }

  async getMany(keys) {
    if (typeof keys?.[Symbol.iterator] !== "function" || typeof keys === "string" || isBytes(keys)) {
      throw invalid("keys", "an array of strings and Uint8Arrays");
    }
    return this.#ask("getMany", Array.from(keys, own));
  }

  contains(key) {
    return this.#ask("contains", key);
  }

  count(prefix = "") {
    return this.#ask("count", prefix);
  }

  async longestPrefix(path) {
    return entryOf(await this.#ask("longestPrefix", path));
  }

  put(key, value) {
    return this.#ask("put", key, value);
  }

  putIfAbsent(key, value) {
    return this.#ask("putIfAbsent", key, value);
  }

  compareAndPut(key, expected, value) {
    return this.#ask("compareAndPut", key, expected, value);
  }

  remove(key) {
    return this.#ask("remove", key);
  }

  removeIf(key, expected) {
    return this.#ask("removeIf", key, expected);
  }

  rename(from, to) {
    return this.#ask("rename", from, to);
  }

  renamePrefix(from, to) {
    return this.#ask("renamePrefix", from, to);
  }

  removePrefix(prefix) {
    return this.#ask("removePrefix", prefix);
  }

  list(prefix = "", options = undefined) {
    return this.#iterate("list", prefix, options);
  }

  scan(prefix = "", options = undefined) {
    return this.#iterate("scan", prefix, options);
  }

  // A page for each message. Whoever leaves early gives the iteration back.
  async *#iterate(method, prefix, options) {
    let answer = await this.#ask(method, prefix, options);
    try {
      for (;;) {
        yield* entriesOf(answer);
        if (answer.page === 0) return;
        const { page } = answer;
        answer = { page: 0 };
        answer = await this.#ask("turn", page);
      }
    } finally {
      if (answer.page !== 0) this.#ask("leave", answer.page).catch(() => {});
    }
  }
}

function* entriesOf({ rows, arena }) {
  for (let i = 0, at = 0; i < rows.length; i += 3) {
    const [key, version, length] = [rows[i], rows[i + 1], rows[i + 2]];
    const isPrefix = version === undefined;
    if (length < 0) yield new Entry(key, version, isPrefix);
    else yield new Entry(key, version, isPrefix, arena, at, (at += length));
  }
}

const STEPS = [
  "put", "putIfAbsent", "compareAndPut", "remove", "removeIf", "rename",
  "expectVersion", "expectAbsent", "expectPresent", "expectEmpty",
];

/** Several writes as one: the steps are kept here until they are committed. */
export class BatchClient {
  #line;
  #durability;
  #steps = [];
  // What commits under way have taken, in their order: if several fail, it comes back as it was.
  #taken = [];

  constructor(line) {
    this.#line = line;
  }

  get length() {
    return this.#steps.length;
  }

  durability(durability) {
    isBuffered(durability);
    this.#durability = durability;
    return this;
  }

  /** As that of the database itself: after an error it is as it was. */
  async commit() {
    const taken = { steps: this.#steps, isBack: false };
    // What is added from now on is for the next time.
    this.#steps = [];
    this.#taken.push(taken);
    try {
      const versions = await this.#line.ask("commit", undefined, this.#durability, [taken.steps]);
      this.#taken.splice(this.#taken.indexOf(taken), 1);
      return versions;
    } catch (error) {
      taken.isBack = true;
      throw error;
    } finally {
      this.#bringBack();
    }
  }

  // Behind the last commit that is under way, whatever has failed meanwhile is there again.
  #bringBack() {
    if (this.#taken.some(({ isBack }) => !isBack)) return;
    this.#steps = [...this.#taken.flatMap(({ steps }) => steps), ...this.#steps];
    this.#taken = [];
  }

  static {
    for (const step of STEPS) {
      const value = function (tree, ...args) {
        if (!(tree instanceof TreeClient)) throw invalid("tree", "a tree of this database");
        if (tree[LINE] !== this.#line) throw invalid("tree", "of the same database as the batch");
        this.#steps.push([step, tree[NAME], ...args.map(keep)]);
        return this;
      };
      Object.defineProperty(BatchClient.prototype, step, { value, writable: true, configurable: true });
    }
  }
}

/** A database in a worker; itself its tree called "default". */
export class SpinneyClient extends TreeClient {
  #worker;
  #isOwn;
  #closing;

  constructor(line, worker, isOwn) {
    super(line, undefined);
    this.#worker = worker;
    this.#isOwn = isOwn;
  }

  static async open(name, options = {}) {
    checkedName(name);
    readOpenOptions(options);
    const { worker: given, source, ...others } = options;
    if (typeof Worker !== "function" || typeof navigator !== "object" || !navigator.locks) {
      const message = "there are no workers here: a page with https or on localhost has them";
      throw new SpinneyError("NotSupported", message);
    }
    const worker = given ?? ownWorker();
    const { port1, port2 } = new MessageChannel();
    const line = new Line(port1);
    const failed = (event) => line.end(died(event.message ?? "its script could not be loaded"));
    worker.addEventListener("error", failed);
    const silent = "it does not answer: has it imported spinney/worker, before anything that it awaits?";
    const timer = given && setTimeout(() => line.end(died(silent)), ANSWER_MS);
    const life = `spinney-worker/${crypto.randomUUID()}`;
    line.onheld = () => {
      clearTimeout(timer);
      // From now on this lock tells of the worker's end; an error of other code in it says nothing.
      worker.removeEventListener("error", failed);
      // The worker has held this lock since it got the message.
      const gone = () => setTimeout(() => line.end(died("it was ended")), LAST_ANSWER_MS);
      navigator.locks.request(life, gone).catch(() => {});
    };
    const opened = line.next();
    opened.catch(() => {});
    try {
      try {
        worker.postMessage({ spinney: "open", port: port2, name, options: others, source, life }, [port2]);
      } catch (error) {
        throw invalid("options", `values that can be sent to a worker: ${error.message}`);
      }
      await opened;
    } catch (error) {
      line.end(error);
      if (!given) worker.terminate();
      throw error;
    } finally {
      clearTimeout(timer);
      // From now on the lock tells whether the worker is there: an error in another part of it does not end it.
      worker.removeEventListener("error", failed);
    }
    return new SpinneyClient(line, worker, !given);
  }

  tree(name) {
    if (typeof name !== "string" || name.length === 0) throw invalid("name", "a string that is not empty");
    return new TreeClient(this[LINE], name);
  }

  trees() {
    return this[LINE].ask("trees", undefined, undefined, []);
  }

  dropTree(name) {
    return this[LINE].ask("dropTree", undefined, undefined, [name]);
  }

  renameTree(from, to) {
    return this[LINE].ask("renameTree", undefined, undefined, [from, to]);
  }

  batch() {
    return new BatchClient(this[LINE]);
  }

  stats() {
    return this[LINE].ask("stats", undefined, undefined, []);
  }

  check() {
    return this[LINE].ask("check", undefined, undefined, []);
  }

  image() {
    return this[LINE].ask("image", undefined, undefined, []);
  }

  sync() {
    return this[LINE].ask("sync", undefined, undefined, []);
  }

  checkpoint() {
    return this[LINE].ask("checkpoint", undefined, undefined, []);
  }

  /** Ends the worker, too, unless it is the caller's own. */
  close() {
    return (this.#closing ??= this.#finish());
  }

  async #finish() {
    try {
      await this[LINE].ask("close", undefined, undefined, []);
    } finally {
      this[LINE].end(closed("database"));
      if (this.#isOwn) this.#worker.terminate();
    }
  }
}

if (Symbol.asyncDispose) {
  const value = SpinneyClient.prototype.close;
  Object.defineProperty(SpinneyClient.prototype, Symbol.asyncDispose, { value, writable: true, configurable: true });
}
