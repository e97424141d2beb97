// The paths and values that are stored: as object stores have them, 1,164 directories with a share of the
// paths each, four levels deep.

export const VALUE_BYTES = 100;

const FOLDERS = ["photos", "documents", "backup/daily", "exports"];

export function pathOf(number) {
  const tenant = String(number % 97).padStart(3, "0");
  const month = String(1 + (number % 12)).padStart(2, "0");
  const object = String(number).padStart(7, "0");
  const folder = FOLDERS[number % 4];
  // Joined, and so one string at once. What + makes is put together by the first who reads it, at its cost.
  return ["tenant-", tenant, "/", folder, "/2026/", month, "/object-", object, ".jpg"].join("");
}

export const directoryOf = (path) => path.slice(0, path.lastIndexOf("/") + 1);

const template = Uint8Array.from({ length: VALUE_BYTES }, (_, i) => i);
const view = new DataView(template.buffer);

/** The value of a path: one buffer for all, which who keeps it has to copy. */
export function valueOf(number) {
  view.setUint32(0, number);
  return template;
}

/** Random numbers from a seed, below an end each: xorshift32. */
export function randomFrom(seed) {
  let state = seed;
  return (end) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % end;
  };
}

/** The numbers from 0 to `count`, in a random order. */
export function shuffledNumbers(count, seed = 0x2545f491) {
  const random = randomFrom(seed);
  const numbers = Uint32Array.from({ length: count }, (_, number) => number);
  for (let i = count - 1; i > 0; i--) {
    const other = random(i + 1);
    [numbers[i], numbers[other]] = [numbers[other], numbers[i]];
  }
  return numbers;
}

/** What lies right above all keys that begin with a directory: "/" is followed by "0". */
export const endOf = (directory) => `${directory.slice(0, -1)}0`;
