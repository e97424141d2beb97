// Numbers, sizes, times and keys as people read them.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const UNITS = ["bytes", "KB", "MB", "GB"];

/** 1,234,567 */
export function number(value) {
  return whole.format(value);
}

/** "1 key", "1,234 keys" */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/** As many digits as matter: "4.7", "28", "113". */
function rounded(value) {
  return value >= 9.95 || Number.isInteger(value) ? number(value) : value.toFixed(1);
}

/** "4.7 MB", "94 MB"; a kilobyte has 1,000 bytes, as on the invoices for traffic. */
export function size(bytes) {
  let unit = 0;
  while (bytes >= 999.5 && unit < UNITS.length - 1) {
    bytes /= 1000;
    unit += 1;
  }
  return `${rounded(bytes)} ${bytes === 1 && unit === 0 ? "byte" : UNITS[unit]}`;
}

/** "43 \u00b5s", "1.8 ms", "2.1 s" */
export function duration(micros) {
  if (micros < 0.995) return `${Math.max(1, Math.round(micros * 1000))} ns`;
  if (micros < 999.5) return `${rounded(micros)} \u00b5s`;
  if (micros < 999500) return `${rounded(micros / 1000)} ms`;
  return `${rounded(micros / 1e6)} s`;
}

/** The day of an ISO date and time. */
export function day(text) {
  return typeof text === "string" && /^\d{4}-\d\d-\d\d/.test(text) ? text.slice(0, 10) : "";
}

/** A key in one line: control characters, and bytes that are no UTF-8, as escapes. */
export function keyText(key) {
  const text = typeof key === "string" ? key : Array.from(key, printable).join("");
  return text.replace(/[\0-\x1f\x7f]/g, (sign) => `\\x${sign.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

function printable(byte) {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, "0")}`;
}

/** What a value says of itself, if it is JSON as catalogs have it. */
export function facts(value) {
  if (value === undefined || value.length > 65536 || value[0] !== 0x7b) return undefined;
  try {
    return JSON.parse(new TextDecoder().decode(value));
  } catch {
    return undefined;
  }
}
