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

  /** To be used in place of the global one. */
  fetch = async (input, options) => {
    if (this.#underWay++ === 0) this.#since = performance.now();
    let response;
    try {
      response = await fetch(input, options);
    } catch (error) {
      this.#ended();
      throw error;
    }
    this.requests += 1;
    this.#watch(response);
    return response;
  };

  #ended() {
    if (--this.#underWay === 0) this.#busyMillis += performance.now() - this.#since;
  }

  // The wait ends when the body is there, and where nobody reads it, with the headers.
  #watch(response) {
    const read = response.arrayBuffer;
    const range = /^bytes (\d+)-(\d+)\//.exec(response.headers.get("content-range") ?? "");
    if (!range) return this.#ended();
    const [start, end] = [Number(range[1]), Number(range[2]) + 1];
    this.bytes += end - start;
    const arrived = () => this.#onRange(start, end);
    let isRead = false;
    response.arrayBuffer = async () => {
      isRead = true;
      try {
        const bytes = await read.call(response);
        arrived();
        return bytes;
      } finally {
        this.#ended();
      }
    };
    // Whoever reads it in another way does so at once.
    setTimeout(() => {
      if (isRead) return;
      delete response.arrayBuffer;
      this.#ended();
      arrived();
    });
  }
}
