// A `fetch` that counts what goes over the network: requests, bytes, which bytes of the file, and how long
// somebody waited for any of them.

export class Traffic {
  requests = 0;
  bytes = 0;
  #underWay = 0;
  #busyMillis = 0;
  #since = 0;
  #onRange;

  /** `onRange` is told the first byte and the end of what has come. */
  constructor(onRange = () => {}) {
    this.#onRange = onRange;
  }

  /** Milliseconds in which at least one request was under way. */
  get busyMillis() {
    return this.#busyMillis + (this.#underWay > 0 ? performance.now() - this.#since : 0);
  }

  /** To be used in place of the global one. A range is handed out when all of it is there. */
  fetch = async (input, options) => {
    if (this.#underWay++ === 0) this.#since = performance.now();
    this.requests += 1;
    try {
      // The browser's cache would count as network what is none, and lets ranges of a file wait for each
      // other.
      const response = await fetch(input, { ...options, cache: "no-store" });
      // Whatever else a server says is left to the library, which may not want the body.
      return response.status === 206 ? await this.#received(response) : response;
    } finally {
      if (--this.#underWay === 0) this.#busyMillis += performance.now() - this.#since;
    }
  };

  async #received(response) {
    const { headers, status, statusText } = response;
    const body = await response.arrayBuffer();
    this.bytes += body.byteLength;
    const range = /^bytes (\d+)-/.exec(headers.get("content-range") ?? "");
    if (range) this.#onRange(Number(range[1]), Number(range[1]) + body.byteLength);
    return new Response(body, { headers, status, statusText });
  }
}
