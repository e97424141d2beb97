// Databases in the origin private file system: their names, their lock, and three files for each. What works
// at once is in files.js; here is what takes promises.

import { SpinneyError, invalid } from "./errors.js";
import { closeFiles, lendFiles, writeAll } from "./files.js";
import { isBytes, settle, wasm } from "./memory.js";

// Bits as in src/wasm/opfs/mod.rs.
const BUFFERED = 1;
const READ_ONLY = 2;
const MUST_EXIST = 4;

const END = ".spinney";
// As Backend::remove_side_files leaves them: empty, once the database was closed.
const SIDE_ENDS = [`${END}-log`, `${END}-journal`];
const IMPORT_END = `${END}-import`;
const NAME_UNITS_MAX = 100;

const CACHE_BYTES = 256 << 20;
const LOG_BYTES = 64 << 20;
// After a worker has gone, the browser may hold its files for a moment longer than its lock.
const BUSY_MS = 2000;

// ------------------------------------------------------------------ options -----

export function checkedName(name) {
  const isGood = typeof name === "string" && name.length > 0 && name.length <= NAME_UNITS_MAX;
  if (isGood && !/[/\\\p{Cc}\p{Surrogate}]|^\.|\.$/u.test(name)) return name;
  throw invalid("name", `a string of 1 to ${NAME_UNITS_MAX} characters without slashes, and without a dot at its ends`);
}

/** Whether writes are buffered. */
export function isBuffered(durability) {
  if (durability === "sync") return false;
  if (durability === "buffered") return true;
  throw invalid("durability", '"sync" or "buffered"');
}

function checkedNumber(number, argument) {
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw invalid(argument, "a whole number, 0 or above");
}

export function readOpenOptions(options = {}) {
  if (typeof options !== "object" || options === null) throw invalid("options", "an object");
  const { durability = "sync", cacheBytes = CACHE_BYTES, logBytes = LOG_BYTES, waitMs = 0 } = options;
  const { create = true, readOnly = false } = options;
  if (typeof create !== "boolean") throw invalid("create", "true or false");
  if (typeof readOnly !== "boolean") throw invalid("readOnly", "true or false");
  return {
    how: (isBuffered(durability) ? BUFFERED : 0) | (readOnly ? READ_ONLY : 0) | (create ? 0 : MUST_EXIST),
    create: create && !readOnly,
    cacheBytes: checkedNumber(cacheBytes, "cacheBytes"),
    logBytes: checkedNumber(logBytes, "logBytes"),
    waitMs: checkedNumber(waitMs, "waitMs"),
  };
}

// ------------------------------------------------------------------- errors -----

function locked(name) {
  const message = `the database ${JSON.stringify(name)} is open elsewhere, maybe in another tab: close it there`;
  return new SpinneyError("Locked", message);
}

function missing(name) {
  return new SpinneyError("NotFound", `there is no database ${JSON.stringify(name)}: see Spinney.listOpfs()`);
}

/** What the browser says of files, as an error of this package. */
function translated(cause, name) {
  if (cause instanceof SpinneyError) return cause;
  if (cause?.name === "NotFoundError") return missing(name);
  if (cause?.name === "NoModificationAllowedError") return locked(name);
  if (cause?.name === "QuotaExceededError") {
    const message = `the browser gives this site no more space: remove something (${cause.message})`;
    return new SpinneyError("QuotaExceeded", message, { cause });
  }
  return new SpinneyError("Io", `reading or writing failed: ${cause?.message ?? cause}`, { cause });
}

// --------------------------------------------------------------- the places -----

function needFiles() {
  if (typeof navigator === "object" && navigator.storage?.getDirectory && navigator.locks) return;
  const message = "there are no files of this site here: browsers have them, for pages with https or on localhost";
  throw new SpinneyError("NotSupported", message);
}

async function folderOfSite() {
  needFiles();
  return navigator.storage.getDirectory();
}

function needWorker() {
  if (typeof FileSystemSyncAccessHandle === "function" && typeof WorkerGlobalScope === "function") return;
  const message = "files can be read at once in dedicated workers alone: open it there, or with Spinney.openWorker";
  throw new SpinneyError("NotSupported", message);
}

/** Takes the lock of a name. Returns how to give it back. */
function lock(name, waitMs) {
  const how = waitMs > 0 ? { signal: AbortSignal.timeout(waitMs) } : { ifAvailable: true };
  return new Promise((resolve, reject) => {
    const hold = (granted) => {
      if (granted === null) return reject(locked(name));
      return new Promise((unlock) => resolve(unlock));
    };
    navigator.locks.request(`spinney/${name}`, how, hold).catch((error) => {
      reject(error?.name === "TimeoutError" ? locked(name) : translated(error, name));
    });
  });
}

/** Runs something that nobody else may do with this name at the same time. */
async function alone(name, run) {
  checkedName(name);
  const folder = await folderOfSite().catch((error) => {
    throw translated(error, name);
  });
  const unlock = await lock(name, 0);
  try {
    return await run(folder);
  } catch (error) {
    throw translated(error, name);
  } finally {
    unlock();
  }
}

async function remove(folder, file) {
  try {
    await folder.removeEntry(file);
    return true;
  } catch (error) {
    if (error?.name === "NotFoundError") return false;
    throw error;
  }
}

async function exists(folder, file) {
  try {
    return (await (await folder.getFileHandle(file)).getFile()).size > 0;
  } catch (error) {
    if (error?.name === "NotFoundError") return false;
    throw error;
  }
}

async function openHandle(file) {
  const entry = await file;
  for (const start = performance.now(); ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    try {
      return await entry.createSyncAccessHandle();
    } catch (error) {
      const isBusy = error?.name === "NoModificationAllowedError" && performance.now() - start < BUSY_MS;
      if (!isBusy) throw error;
    }
  }
}

async function openRow(folder, name, create) {
  // The data file first: without it the others are not made. Then all at once, because each takes its time in
  // another process.
  const files = [await folder.getFileHandle(name + END, { create })];
  for (const end of SIDE_ENDS) files.push(folder.getFileHandle(name + end, { create: true }));
  const opened = await Promise.allSettled(files.map(openHandle));
  const failed = opened.find(({ status }) => status === "rejected");
  if (failed === undefined) {
    const handles = opened.map(({ value }) => value);
    return { row: lendFiles(handles), hadLog: handles[1].getSize() > 0 };
  }
  for (const { value } of opened) value?.close();
  throw failed.reason;
}

/**
 * Removes the files of a database that came to nothing, unless there was a log before: it may hold what was
 * acknowledged, and its database may only be somewhere else for now. Otherwise the side files stay, empty: what a browser
 * notes of names is not on the disk when it says so, and a database that is open may not lose its log.
 */
async function tidy(folder, name, hadLog) {
  if (hadLog || (await exists(folder, name + END))) return;
  for (const end of [...SIDE_ENDS, END]) await remove(folder, name + end);
}

// ------------------------------------------------------------ the databases -----

/**
 * Opens a database in a dedicated worker. Returns its handle in the module, and a function for its end: it
 * closes the files, deletes them if nothing came of it, and lets others have the name.
 */
export async function openFiles(name, options) {
  const { how, create, cacheBytes, logBytes, waitMs } = readOpenOptions(options);
  checkedName(name);
  needWorker();
  needFiles();
  // Both are asked for at once, and wait for other processes.
  const asked = folderOfSite();
  asked.catch(() => {});
  const unlock = await lock(name, waitMs);
  let opened;
  const end = async () => {
    try {
      if (opened !== undefined) closeFiles(opened.row);
      const folder = await asked;
      // Where nothing was opened, nothing of ours is there.
      await tidy(folder, name, opened?.hadLog ?? (await exists(folder, name + SIDE_ENDS[0])));
    } finally {
      unlock();
    }
  };
  try {
    opened = await openRow(await asked, name, create);
    return { id: settle(wasm.spinney_open_files(opened.row, how, cacheBytes, logBytes)), end };
  } catch (error) {
    // What was wrong first is what counts.
    await end().catch(() => {});
    throw translated(error, name);
  }
}

export async function listFiles() {
  const names = [];
  try {
    for await (const file of (await folderOfSite()).keys()) {
      if (file.endsWith(END)) names.push(file.slice(0, -END.length));
    }
  } catch (error) {
    throw translated(error);
  }
  return names.sort();
}

/** Deletes a database: the data file last, so that half of it is still listed, and can be deleted again. */
export function deleteFiles(name) {
  return alone(name, async (folder) => {
    await remove(folder, name + IMPORT_END);
    for (const end of SIDE_ENDS) await remove(folder, name + end);
    return remove(folder, name + END);
  });
}

function chunksOf(source) {
  if (source instanceof ArrayBuffer) return [new Uint8Array(source)];
  if (ArrayBuffer.isView(source) && isBytes(source)) return [source];
  if (typeof Blob === "function" && source instanceof Blob) return chunksOf(source.stream());
  if (typeof source?.getReader === "function") return read(source);
  throw invalid("source", "a Uint8Array, an ArrayBuffer, a Blob or a ReadableStream");
}

// Whoever is refused before it begins still has the stream, whole and unlocked.
async function* read(stream) {
  const reader = stream.getReader();
  try {
    for (let turn = await reader.read(); !turn.done; turn = await reader.read()) yield turn.value;
  } finally {
    // Of a stream that was left early nobody wants the rest.
    reader.cancel().catch(() => {});
  }
}

// Looks at the superblock and the directory, as opening does; pages are verified when they are read.
function verify(handle) {
  const nothing = { getSize: () => 0, close() {} };
  const row = lendFiles([{ getSize: () => handle.getSize(), read: handle.read.bind(handle), close() {} }, nothing, nothing]);
  try {
    const id = settle(wasm.spinney_open_files(row, READ_ONLY | MUST_EXIST, CACHE_BYTES, LOG_BYTES));
    settle(wasm.spinney_end(id));
  } finally {
    closeFiles(row);
  }
}

/** Makes a database of the bytes of a file. It has its name when all of it is stored, or not at all. */
export async function importFiles(name, source) {
  needWorker();
  const chunks = chunksOf(source);
  await alone(name, async (folder) => {
    if (await exists(folder, name + END)) {
      const message = `there is a database ${JSON.stringify(name)}: delete it first, or choose another name`;
      throw new SpinneyError("TargetExists", message);
    }
    const handle = await openHandle(folder.getFileHandle(name + IMPORT_END, { create: true }));
    try {
      handle.truncate(0);
      let at = 0;
      for await (const chunk of chunks) {
        if (!isBytes(chunk)) throw invalid("source", "a stream of Uint8Arrays");
        writeAll(handle, chunk, at);
        at += chunk.length;
      }
      handle.flush();
      verify(handle);
      handle.close();
      for (const end of [...SIDE_ENDS, END]) await remove(folder, name + end);
      await (await folder.getFileHandle(name + IMPORT_END)).move(name + END);
    } catch (error) {
      handle.close();
      await remove(folder, name + IMPORT_END).catch(() => {});
      throw error;
    }
  });
}
