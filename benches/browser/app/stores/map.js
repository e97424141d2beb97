// A Map, and its keys in a sorted array: what one writes without a store. It is sorted when all is there,
// and cannot be written and listed in turns; so it has the least work that such a thing can have. All other
// stores are compared with it.

import { endOf } from "../paths.js";

export async function open() {
  const map = new Map();
  let sorted;

  /** The first place from `low` on with a key that is not below. */
  function seek(key, low = 0) {
    let high = sorted.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (sorted[middle] < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  const after = (key) => {
    const at = seek(key);
    return sorted[at] === key ? at + 1 : at;
  };

  return {
    put: (path, value) => map.set(path, value.slice()),
    finish: () => (sorted = [...map.keys()].sort()),
    get: (path) => map.get(path).length,
    bytes: (path) => map.get(path),
    list(prefix, see) {
      for (let at = seek(prefix); at < sorted.length && sorted[at].startsWith(prefix); ) {
        const slash = sorted[at].indexOf("/", prefix.length);
        if (slash < 0) {
          see(sorted[at++]);
        } else {
          const directory = sorted[at].slice(0, slash + 1);
          see(directory);
          at = seek(endOf(directory), at);
        }
      }
    },
    scanKeys(start, limit, see) {
      const from = after(start);
      const end = Math.min(from + limit, sorted.length);
      for (let at = from; at < end; at++) see(sorted[at]);
    },
    scan(start, limit, see) {
      const from = after(start);
      const end = Math.min(from + limit, sorted.length);
      for (let at = from; at < end; at++) see(sorted[at], map.get(sorted[at]));
    },
    page(start, limit) {
      const from = after(start);
      return sorted.slice(from, from + limit).map((key) => ({ key, value: map.get(key) }));
    },
    close: () => map.clear(),
  };
}
