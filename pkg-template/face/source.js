// A file on a server, read in ranges of bytes. Whatever a server does wrong is an error that says what.
//
// Pages that are under way are asked for once, whoever waits for them. What was read is not kept here.

import { SpinneyError } from "./errors.js";

const PAGE_BYTES = 4096;
// What is read before anything is known: superblocks with the directory, and the root behind the first blob.
const FIRST = [
  { start: 0, end: 4 * PAGE_BYTES },
  { start: 128 * PAGE_BYTES, end: 134 * PAGE_BYTES },
];
// A server that knows no ranges is asked for the whole file, if that is as small as this.
const WHOLE_BYTES_MAX = 4 << 20;
// Runs with so little between them are one request: see docs/design.md for what was measured.
const GAP_BYTES = 4 * PAGE_BYTES;
const REQUESTS_MAX = 6;
const TRIES_MAX = 4;
const WAIT_MS = 200;

export class Source {
  #url;
  #fetch;
  #init;
  #abort = new AbortController();
  #unlisten;
  // Pages under way, by their number: who waits for one waits for its request.
  #underWay = new Map();
  #free = REQUESTS_MAX;
  #queue = [];
  #whole;
  #handIn;
  /** What it has cost. */
  counts = { requests: 0, roundTrips: 0, bytesFetched: 0, pagesFetched: 0 };
  sizeBytes;
  etag;
  #modified;

  constructor(url, { fetch, headers, credentials, signal }) {
    this.#url = url;
    this.#fetch = fetch;
    // Chromium hands out the headers of an older answer with ranges of a newer one.
    this.#init = { headers, credentials, cache: "no-store" };
    if (signal) {
      // Not of this object: a signal that lives longer would hold all of it.
      const abort = this.#abort;
      const stop = () => abort.abort();
      if (signal.aborted) stop();
      signal.addEventListener("abort", stop);
      this.#unlisten = () => signal.removeEventListener("abort", stop);
    }
  }

  /** Reads the beginning. Gives what `make` makes of the length, which takes pages with `handIn`. */
  async open(make) {
    this.counts.roundTrips += 1;
    // If the first fails nobody looks at the second one any more.
    const further = this.#tried(FIRST[1], true).catch((error) => ({ error }));
    const first = await this.#tried(FIRST[0], true);
    this.#handIn = make(this.sizeBytes);
    this.#take(first);
    if (this.#whole) return;
    const second = await further;
    if (second.error && second.error.code !== "Changed") throw second.error;
    if (!second.error) this.#take(second);
  }

  close() {
    this.#unlisten?.();
    this.#abort.abort();
  }

  /** Brings runs of pages, each `[start, end]`. */
  async bring(runs) {
    const waits = new Set();
    const missing = [];
    if (this.#whole) {
      for (const { start, end } of runs) this.#take({ start, bytes: this.#whole.subarray(start, end) });
      return;
    }
    for (const { start, end } of runs) {
      for (let at = start; at < end; at += PAGE_BYTES) {
        const wait = this.#underWay.get(at);
        const last = missing.at(-1);
        if (wait) waits.add(wait);
        else if (last && at - last.end <= GAP_BYTES) last.end = at + PAGE_BYTES;
        else missing.push({ start: at, end: at + PAGE_BYTES });
      }
    }
    if (missing.length > 0) this.counts.roundTrips += 1;
    for (const run of missing) {
      const wait = this.#bringOne(run);
      waits.add(wait);
      for (let at = run.start; at < run.end; at += PAGE_BYTES) this.#underWay.set(at, wait);
    }
    await Promise.all(waits);
  }

  async #bringOne(run) {
    try {
      this.#take(await this.#queued(run));
    } finally {
      for (let at = run.start; at < run.end; at += PAGE_BYTES) this.#underWay.delete(at);
    }
  }

  #take({ start, bytes }) {
    const length = Math.floor(bytes.length / PAGE_BYTES) * PAGE_BYTES;
    if (!this.#whole || start === 0) this.counts.pagesFetched += length / PAGE_BYTES;
    this.#handIn(start, length === bytes.length ? bytes : bytes.subarray(0, length));
  }

  async #queued(run) {
    while (this.#free === 0) await new Promise((resolve) => this.#queue.push(resolve));
    this.#free -= 1;
    try {
      return await this.#tried(run, false);
    } finally {
      this.#free += 1;
      this.#queue.shift()?.();
    }
  }

  // What may pass is tried again.
  async #tried(run, isFirst) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#request(run, isFirst);
      } catch (error) {
        const isLast = tries === TRIES_MAX || this.#abort.signal.aborted;
        if (!(error instanceof Passing) || isLast) throw this.#told(error.reason ?? error);
        await this.#sleep(WAIT_MS * 2 ** (tries - 1));
      }
    }
  }

  #told(error) {
    if (!this.#abort.signal.aborted || error.code === "Changed") return error;
    return this.#error("Cancelled", "reading was given up before it was complete");
  }

  #sleep(milliseconds) {
    const { signal } = this.#abort;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      };
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", done);
    });
  }

  #error(code, text, fields) {
    return new SpinneyError(code, `${this.#url}: ${text}`, { url: this.#url, ...fields });
  }

  async #request({ start, end }, isFirst) {
    const { signal } = this.#abort;
    if (signal.aborted) throw this.#told(new Error());
    const headers = new Headers(this.#init.headers);
    headers.set("Range", `bytes=${start}-${end - 1}`);
    this.counts.requests += 1;
    let response;
    try {
      response = await this.#fetch(this.#url, { ...this.#init, headers, signal });
    } catch (cause) {
      const text = `the request failed (${cause?.message ?? cause}): is the address right, does the server allow it (CORS), and `
        + "does it send it uncompressed?";
      throw new Passing(this.#error("Network", text, { cause }));
    }
    try {
      this.#look(response, { start, end }, isFirst);
      if (response.status === 200) return await this.#readWhole(response);
      return { start, bytes: await this.#read(response, this.#expected(start, end)) };
    } catch (error) {
      response.body?.cancel().catch(() => {});
      throw error;
    }
  }

  #expected(start, end) {
    return Math.min(end, this.sizeBytes) - start;
  }

  // Looks at status and headers, and learns from the first ones what the file is.
  #look(response, run, isFirst) {
    const { status } = response;
    const fields = { status };
    if (status === 404 || status === 410) throw this.#error("NotFound", `there is no such file (${status})`, fields);
    if (status === 401 || status === 403) {
      throw this.#error("Forbidden", `the server does not give it out (${status}): see the options headers and credentials`, fields);
    }
    if (status === 412) throw this.#changed(status);
    if (status === 408 || status === 429 || status >= 500) {
      throw new Passing(this.#error("ServerError", `the server answered ${status}, ${TRIES_MAX} times`, fields));
    }
    if (status === 416) throw this.#tooShort(response, isFirst);
    if (status !== 200 && status !== 206) throw this.#error("BadResponse", `the server answered ${status}`, fields);
    const encoding = response.headers.get("content-encoding");
    if (encoding && encoding !== "identity") {
      const text = `the server compresses it (${encoding}): ranges are of no use then, switch that off for this file`;
      throw this.#error("ContentEncoding", text, fields);
    }
    const size = status === 206 ? this.#rangeOf(response, run) : undefined;
    this.#compare(response, size, isFirst);
  }

  // The length of the file, as the server tells it with the range.
  #rangeOf(response, { start, end }) {
    const text = response.headers.get("content-range");
    const { status } = response;
    if (text === null) {
      if (this.sizeBytes !== undefined) return this.sizeBytes;
      const message = "the header Content-Range cannot be seen: from another origin, the server has to expose it "
        + "(Access-Control-Expose-Headers: Content-Range, ETag, Last-Modified)";
      throw this.#error("BadResponse", message, { status });
    }
    const match = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(text);
    const [from, to, size] = match ? match.slice(1).map(Number) : [];
    const isRight = from === start && to === Math.min(end, size) - 1 && Number.isSafeInteger(size);
    if (this.sizeBytes !== undefined && match && size !== this.sizeBytes) throw this.#changed(status);
    if (!isRight) {
      const asked = `bytes ${start}-${end - 1}`;
      throw this.#error("BadResponse", `the server gave ${JSON.stringify(text)} for ${asked}`, { status });
    }
    return size;
  }

  // The file must be the one that the first answer was of.
  #compare({ headers, status }, size, isFirst) {
    const etag = headers.get("etag") ?? undefined;
    const modified = headers.get("last-modified") ?? undefined;
    if (this.sizeBytes === undefined) {
      [this.sizeBytes, this.etag, this.#modified] = [size, etag, modified];
      return;
    }
    const differs = (before, now) => before !== undefined && now !== undefined && before !== now;
    if (differs(this.etag, etag) || (this.etag === undefined && differs(this.#modified, modified))) {
      throw this.#changed(status);
    }
    if (status === 200 && !isFirst) throw this.#noRanges(status);
  }

  #changed(status) {
    return this.#error("Changed", "the file was replaced since it was opened: open it again", { status });
  }

  #noRanges(status) {
    const text = `the server does not answer ranges of bytes (${status}): use one that does`;
    return this.#error("RangeNotSupported", text, { status });
  }

  // A file that ends before the root is none; later it was replaced by a shorter one.
  #tooShort(response, isFirst) {
    if (!isFirst || this.sizeBytes !== undefined) return this.#changed(response.status);
    const text = "it is too short for a Spinney database";
    return this.#error("NotSpinney", text, { status: response.status, reason: text });
  }

  async #readWhole(response) {
    const told = response.headers.get("content-length");
    if (told !== null && Number(told) > WHOLE_BYTES_MAX) throw this.#noRanges(200);
    const bytes = await this.#read(response, told === null ? undefined : Number(told));
    if (this.#whole === undefined) {
      this.#whole = bytes;
      this.sizeBytes = bytes.length;
    }
    return { start: 0, bytes };
  }

  // Reads a body of so many bytes; of no more than a whole file may have, where nobody knows.
  async #read(response, expected) {
    const limit = expected ?? WHOLE_BYTES_MAX;
    const { status } = response;
    const parts = [];
    let length = 0;
    const reader = response.body.getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) break;
        length += value.length;
        this.counts.bytesFetched += value.length;
        if (length > limit) {
          // The rest is not waited for.
          reader.cancel().catch(() => {});
          break;
        }
        parts.push(value);
      }
    } catch (cause) {
      const text = `the answer was cut off after ${length} bytes (${cause?.message ?? cause})`;
      throw new Passing(this.#error("Network", text, { status, cause }));
    }
    if (length > limit && expected === undefined) throw this.#noRanges(status);
    if (length > limit) throw this.#error("BadResponse", `the answer has more than ${limit} bytes`, { status });
    if (expected !== undefined && length < expected) {
      throw new Passing(this.#error("BadResponse", `the answer has ${length} bytes in the place of ${expected}`, { status }));
    }
    return joined(parts, length);
  }
}

/** An error that may be gone the next time. */
class Passing {
  constructor(reason) {
    this.reason = reason;
  }
}

function joined(parts, length) {
  if (parts.length === 1) return parts[0];
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
