// What threads do natively: buffered writes are made durable soon after they were made, and when nothing goes
// on, everything is brought into the data file. Each turn does one thing, so that calls come in between.

// Natively buffered writes are durable after 10 ms as well.
const FLUSH_MS = 6;
const IDLE_MS = 1000;
// After a failure, which mostly is that there is no space.
const AGAIN_MS = 100;

export class Keeper {
  #attend;
  #rest;
  #timer;
  #waitsForMore = false;
  #wrote = false;

  /** `attend` does one thing, and says whether there are more; `rest` is called when nothing was written. */
  constructor(attend, rest) {
    this.#attend = attend;
    this.#rest = rest;
  }

  /** To be called after every write. */
  wrote() {
    this.#wrote = true;
    if (!this.#waitsForMore) this.#wait(FLUSH_MS, true);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#waitsForMore = true;
  }

  #wait(ms, waitsForMore) {
    clearTimeout(this.#timer);
    this.#waitsForMore = waitsForMore;
    this.#timer = setTimeout(() => this.#turn(), ms);
  }

  #turn() {
    const wasIdle = !this.#waitsForMore;
    this.#waitsForMore = false;
    try {
      if (wasIdle) {
        this.#rest();
      } else if (this.#attend()) {
        this.#wait(0, true);
      } else if (this.#wrote) {
        this.#wrote = false;
        this.#wait(IDLE_MS, false);
      }
    } catch (error) {
      // Whoever needs what could not be done gets the error. A module that is broken stays so.
      if (error?.code === "Broken") return;
      if (wasIdle) this.#wrote = true;
      this.#wait(AGAIN_MS, true);
    }
  }
}
