// What the tests of the JavaScript face share.

export const bytes = (...numbers) => Uint8Array.from(numbers);
export const utf8 = (text) => new TextEncoder().encode(text);
export const text = (value) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(value);
export const keysOf = (entries) => Array.from(entries, (entry) => entry.key);

export function assert(condition, what) {
  if (!condition) throw new Error(`assertion failed: ${what}`);
}

export function show(value) {
  if (value instanceof Uint8Array) return `bytes(${value})`;
  const inner = (_, part) => (part instanceof Uint8Array ? `bytes(${part})` : part);
  return JSON.stringify(value, inner) ?? "undefined";
}

export function same(found, expected, what) {
  assert(show(found) === show(expected), `${what}: ${show(found)} instead of ${show(expected)}`);
}

// The error that a call throws, which must have this code and these fields.
export function refused(call, code, fields = {}) {
  let error;
  try {
    call();
  } catch (thrown) {
    error = thrown;
  }
  assert(error !== undefined, `${code} was expected, nothing was thrown by ${call}`);
  assert(error instanceof Error, `${call} threw ${error}`);
  same(error.name, "SpinneyError", `name of ${error}, thrown by ${call}`);
  same(error.code, code, `code of ${error}, thrown by ${call}`);
  for (const [name, value] of Object.entries(fields)) same(error[name], value, `${name} of ${error}`);
  assert(error.message.length > 10 && String(error).startsWith("SpinneyError: "), `message of ${error}`);
  return error;
}

// 1000 keys: more than one page, whatever the sizes of pages are.
export function filled(Spinney) {
  const db = Spinney.memory();
  const name = (i) => `dir${i % 10}/sub${(i >> 3) % 4}/file${String(i).padStart(4, "0")}`;
  const keys = Array.from({ length: 1000 }, (_, i) => name(i));
  const versions = new Map(keys.map((key) => [key, db.put(key, utf8(`value ${key}`))]));
  db.put("zz", bytes(1));
  return { db, keys: keys.sort(), versions };
}
