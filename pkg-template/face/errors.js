// The error class, and the errors that are found before the module is asked.

/** What every call throws. `code` is stable; the message says what to do about it. */
export class SpinneyError extends Error {
  constructor(code, message, fields) {
    super(message);
    this.code = code;
    Object.assign(this, fields);
  }
}

Object.defineProperty(SpinneyError.prototype, "name", {
  value: "SpinneyError",
  writable: true,
  configurable: true,
});

export function invalid(argument, expected) {
  return new SpinneyError("InvalidArgument", `${argument} must be ${expected}`, { argument });
}

export function closed(what) {
  return new SpinneyError("Closed", `the ${what} has been closed: open it again`);
}

export function otherDatabase() {
  const message = "the tree belongs to another database: take it from the database of the batch or transaction";
  return new SpinneyError("OtherDatabase", message);
}
