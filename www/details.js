// One file: what its key, its value and its version say.

import { facts, keyText, number, size } from "./format.js";
import { nameOf } from "./place.js";

const SHOWN_BYTES_MAX = 4000;

/** Fills `element`; `onClose` and, if values can be changed, `onEdit` are its buttons. */
export function showDetails(element, entry, { onClose, onEdit }) {
  const said = facts(entry.value);
  const name = typeof entry.key === "string" ? nameOf(entry.key) : keyText(entry.key);
  element.innerHTML =
    '<header><h2></h2><button class="quiet" type="button" aria-label="Close the file"><svg' +
    ' aria-hidden="true"><use href="#icon-close"/></svg></button></header><p class="key"></p><dl></dl>' +
    '<pre tabindex="0" aria-label="Value"></pre>';
  element.querySelector("h2").textContent = keyText(name);
  element.querySelector(".key").textContent = keyText(entry.key);
  element.querySelector("button").addEventListener("click", onClose);
  const rows = [
    ["Size", typeof said?.size === "number" && `${size(said.size)} (${number(said.size)})`],
    ["Changed", typeof said?.mtime === "string" && said.mtime.replace("T", " ").replace("Z", " UTC")],
    ["ETag", said?.etag],
    ["Stored as", `${number(entry.value?.length ?? 0)} bytes, version ${number(entry.version ?? 0)}`],
  ];
  const list = element.querySelector("dl");
  for (const [what, text] of rows) {
    if (!text) continue;
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = what;
    description.textContent = text;
    list.append(term, description);
  }
  element.querySelector("pre").textContent = valueText(entry.value, said);
  if (onEdit) {
    const edit = document.createElement("button");
    edit.type = "button";
    edit.className = "plain";
    edit.textContent = "Edit value";
    edit.addEventListener("click", onEdit);
    element.append(edit);
  }
  element.hidden = false;
}

/** Whether the value is shown as it is: what is shown in part, or is no text, cannot be put again. */
export function isEditable(value) {
  if (value === undefined || value.length > SHOWN_BYTES_MAX) return false;
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value);
    return true;
  } catch {
    return false;
  }
}

/** A value as text. */
export function valueText(value, said = facts(value)) {
  if (value === undefined) return "";
  if (said !== undefined) return JSON.stringify(said, undefined, 2);
  const text = new TextDecoder().decode(value.subarray(0, SHOWN_BYTES_MAX));
  return value.length > SHOWN_BYTES_MAX
    ? `${text}\n(and ${number(value.length - SHOWN_BYTES_MAX)} bytes more)`
    : text;
}
