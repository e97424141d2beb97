// The figures at the top, and the log of operations beside the files.

import { counted, duration, size } from "./format.js";

const LOGGED_MAX = 7;

/** Shows `[value, what it is]` for each figure. */
export function showFigures(element, figures) {
  if (element.children.length !== figures.length) {
    element.replaceChildren(
      ...figures.map(() => {
        const figure = document.createElement("div");
        figure.append(document.createElement("dt"), document.createElement("dd"));
        return figure;
      }),
    );
  }
  figures.forEach(([value, what], index) => {
    const [term, description] = element.children[index].children;
    term.textContent = what;
    description.textContent = value;
  });
}

/** The last operations, newest first. */
export class Log {
  #element;
  last;

  constructor(element) {
    this.#element = element;
  }

  add(operation) {
    this.last = operation;
    const item = document.createElement("li");
    const what = document.createElement("code");
    what.textContent = operation.what;
    what.title = operation.what;
    const took = document.createElement("b");
    took.textContent = duration(operation.micros);
    const more = document.createElement("span");
    more.textContent = described(operation);
    item.append(what, took, more);
    this.#element.prepend(item);
    while (this.#element.children.length > LOGGED_MAX) this.#element.lastChild.remove();
  }

  clear() {
    this.last = undefined;
    this.#element.replaceChildren();
  }
}

function described({ rows, requests, bytes, waitedMillis }) {
  const parts = [];
  if (rows !== undefined) parts.push(counted(rows, "key"));
  if (requests > 0)
    parts.push(counted(requests, "request"), size(bytes), `${duration(waitedMillis * 1000)} of network`);
  if (requests === 0) parts.push("nothing to fetch");
  return parts.join(" \u00b7 ");
}
