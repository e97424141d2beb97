// What the tests of files say.

import { SpinneyError } from "/node_modules/spinney/index.js";

const shown = (value) => {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
};

export function equal(found, expected, what = "") {
  if (found === expected || shown(found) === shown(expected)) return;
  throw new Error(`${what}: ${shown(found)} in place of ${shown(expected)}`);
}

/** The same for long lists: the first difference is told. */
export function same(found, expected, what) {
  const length = Math.max(found.length, expected.length);
  for (let i = 0; i < length; i++) equal(found[i], expected[i], `${what}, at ${i} of ${length}`);
}

export async function refuses(code, run) {
  let found = "nothing";
  try {
    await run();
  } catch (error) {
    if (error instanceof SpinneyError && error.code === code) return error;
    found = error;
  }
  throw new Error(`${code} was expected, and it was ${found.code ?? ""} ${found.stack ?? found}`);
}

/** Waits until something is so. */
export async function settled(isSo, limitMs, what) {
  for (const start = performance.now(); !isSo(); await new Promise((resolve) => setTimeout(resolve, 2))) {
    if (performance.now() - start > limitMs) throw new Error(`${what}: not within ${limitMs} ms`);
  }
}
