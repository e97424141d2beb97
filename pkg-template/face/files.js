// Files that the wasm module reads and writes by the number of a row: the three areas of a database, as
// handles that work at once. src/wasm/opfs/files.rs calls what is here.

const FAILED = -1;
const NO_SPACE = -2;

const rows = [];
let failure = "";

/** Gives the module three open files: data, log, journal. Returns the number of their row. */
export function lendFiles(handles) {
  const free = rows.indexOf(undefined);
  const row = free < 0 ? rows.length : free;
  rows[row] = handles;
  return row;
}

/** Closes the files of a row. Closing a handle twice does no harm. */
export function closeFiles(row) {
  for (const handle of rows[row]) handle.close();
  rows[row] = undefined;
}

function attempt(row, area, run) {
  try {
    return run(rows[row][area]);
  } catch (error) {
    failure = `${error?.name}: ${error?.message}`;
    return error?.name === "QuotaExceededError" ? NO_SPACE : FAILED;
  }
}

export function fileLength(row, area) {
  return attempt(row, area, (file) => file.getSize());
}

export function fileTruncate(row, area, bytes) {
  return attempt(row, area, (file) => {
    file.truncate(bytes);
    return 0;
  });
}

// A short read is tried again from where it stopped, until there is nothing more.
export function fileRead(row, area, at, into) {
  return attempt(row, area, (file) => {
    let done = file.read(into, { at });
    while (done < into.length) {
      const more = file.read(into.subarray(done), { at: at + done });
      if (more === 0) break;
      done += more;
    }
    return done;
  });
}

/** Writes all of it, or throws. */
export function writeAll(file, from, at) {
  let done = file.write(from, { at });
  while (done < from.length) {
    const more = file.write(from.subarray(done), { at: at + done });
    // Chromium says so for want of space, too.
    if (more === 0) throw new DOMException(`${done} of ${from.length} bytes were written`, "QuotaExceededError");
    done += more;
  }
}

export function fileWrite(row, area, at, from) {
  return attempt(row, area, (file) => {
    writeAll(file, from, at);
    return 0;
  });
}

export function fileFlush(row, area) {
  return attempt(row, area, (file) => {
    file.flush();
    return 0;
  });
}

export function fileFailure() {
  return failure;
}

export function randomWord() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}
