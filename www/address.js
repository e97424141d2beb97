// The box with the path: completes what is typed from the database, and says where to go.
//
// It knows a function that completes, and tells others where to go; of databases it knows nothing.

import { nameOf, parentOf } from "./place.js";

const OFFERED_MAX = 8;

export class Address extends EventTarget {
  #form;
  #input;
  #list;
  #complete;
  #offers = [];
  #at = -1;
  /** Something was typed since the last directory was asked for. */
  #isTyping = false;
  #turn = 0;
  #shown = "";

  /** `complete(text, limit)` gives the entries whose keys begin with a text. */
  constructor(form, complete) {
    super();
    this.#form = form;
    this.#input = form.querySelector("input");
    this.#list = form.querySelector("ul");
    this.#complete = complete;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#go(this.#at >= 0 ? this.#offers[this.#at].key : this.#input.value);
    });
    this.#input.addEventListener("input", () => {
      this.#isTyping = true;
      this.#offer();
    });
    this.#input.addEventListener("focus", () => this.#input.select());
    this.#input.addEventListener("blur", () => this.#close());
    this.#input.addEventListener("keydown", (event) => this.#pressed(event));
    // Before the box loses its focus.
    this.#list.addEventListener("pointerdown", (event) => {
      const option = event.target.closest("li");
      if (option === null) return;
      event.preventDefault();
      this.#go(this.#offers[Number(option.dataset.index)].key);
    });
  }

  /** The directory that is open. */
  show(path) {
    this.#shown = path;
    // Whoever has begun to type meanwhile keeps that.
    if (this.#isTyping && document.activeElement === this.#input) return;
    this.#input.value = path;
    this.#close();
  }

  focus() {
    this.#input.focus();
  }

  #go(path) {
    this.#isTyping = false;
    this.#close();
    this.dispatchEvent(new CustomEvent("go", { detail: path.replace(/^\/+/, "") }));
  }

  async #offer() {
    const turn = ++this.#turn;
    const text = this.#input.value.replace(/^\/+/, "");
    let offers;
    try {
      offers = await this.#complete(text, OFFERED_MAX);
    } catch {
      // The listing that follows says what is wrong.
      offers = [];
    }
    if (turn !== this.#turn || document.activeElement !== this.#input) return;
    this.#offers = offers.filter((entry) => typeof entry.key === "string" && entry.key !== text);
    this.#at = -1;
    this.#list.replaceChildren(...this.#offers.map((entry, index) => option(entry.key, index, text)));
    this.#list.hidden = this.#offers.length === 0;
    this.#input.setAttribute("aria-expanded", !this.#list.hidden);
    this.#mark();
  }

  #close() {
    this.#turn += 1;
    this.#offers = [];
    this.#at = -1;
    this.#list.hidden = true;
    this.#list.replaceChildren();
    this.#input.setAttribute("aria-expanded", "false");
    this.#input.removeAttribute("aria-activedescendant");
  }

  #mark() {
    [...this.#list.children].forEach((element, index) =>
      element.setAttribute("aria-selected", index === this.#at),
    );
    if (this.#at >= 0) this.#input.setAttribute("aria-activedescendant", `completion-${this.#at}`);
    else this.#input.removeAttribute("aria-activedescendant");
  }

  #pressed(event) {
    const count = this.#offers.length;
    if ((event.key === "ArrowDown" || event.key === "ArrowUp") && count > 0) {
      const step = event.key === "ArrowDown" ? 1 : -1;
      // One place more than there are offers: what was typed.
      this.#at = ((this.#at + 1 + step + count + 1) % (count + 1)) - 1;
      this.#mark();
    } else if (event.key === "Tab" && !event.shiftKey && count > 0) {
      this.#input.value = this.#offers[Math.max(0, this.#at)].key;
      this.#offer();
    } else if (event.key === "Escape") {
      this.#isTyping = false;
      this.#input.value = this.#shown;
      this.#close();
      this.dispatchEvent(new CustomEvent("leave"));
    } else {
      return;
    }
    event.preventDefault();
  }
}

function option(key, index, typed) {
  const element = document.createElement("li");
  element.id = `completion-${index}`;
  element.setAttribute("role", "option");
  element.dataset.index = index;
  // What is there already is dim, and what would come stands out.
  const start = Math.max(parentOf(typed).length, key.length - nameOf(key).length);
  const dim = document.createElement("span");
  dim.textContent = key.slice(0, Math.min(start, key.length));
  const rest = document.createElement("b");
  rest.textContent = key.slice(Math.min(start, key.length));
  element.append(dim, rest);
  return element;
}
