// What an image of a database tells a map: how full each blob is, and which pages differ from those of an
// image before. Every blob has the checksums of its pages in its header, so nothing else is read;
// docs/format.md has the words.

import { BLOB_PAGES, PAGE_BYTES } from "./blob-map.js";

// In words of 32 bits.
const BLOB_WORDS = (BLOB_PAGES * PAGE_BYTES) / 4;
const KIND_AT = 3;
const LIVE_AT = 7;
const CHECKSUMS_AT = 256;
const RANGE_KIND = 1;
// In words of 64 bits, as live words are counted.
const CAPACITY = 65536 - 256;

/** The checksums of all pages, and the part of each blob that is in use. */
export function survey(image) {
  const words = new Uint32Array(image.buffer, image.byteOffset, image.byteLength >> 2);
  const blobs = Math.floor(words.length / BLOB_WORDS);
  const sums = new Uint32Array(blobs * BLOB_PAGES);
  const fills = [];
  for (let blob = 0; blob < blobs; blob++) {
    const at = blob * BLOB_WORDS;
    for (let page = 0; page < BLOB_PAGES; page++)
      sums[blob * BLOB_PAGES + page] = words[at + CHECKSUMS_AT + 2 * page];
    const isRange = (words[at + KIND_AT] & 0xff) === RANGE_KIND;
    fills.push(isRange ? Math.min(1, words[at + LIVE_AT] / CAPACITY) : 0);
  }
  return { sums, fills, bytes: image.byteLength };
}

/** The pages that are not as they were. */
export function changed(before, now) {
  const pages = [];
  // The first blob says which checksums the others have, and nothing of the files.
  for (let page = BLOB_PAGES; page < now.sums.length; page++) {
    if (now.sums[page] !== before.sums[page]) pages.push(page);
  }
  return pages;
}
