// What the page just did, as a program would do it.

const OPEN = {
  url: ['const db = await Spinney.openUrl("catalog.spinney");', 'const files = db.tree("files");'],
  worker: ['const db = await Spinney.openWorker("playground");'],
  memory: ["const db = Spinney.memory();"],
};

/** Shows a call with what came of it; one without a comment is what a loop goes over. */
export function showCode(element, kind, call, comment = undefined) {
  const wait = kind === "memory" ? "" : "await ";
  const lines = [...OPEN[kind], ""];
  if (comment !== undefined) {
    lines.push(`${wait}db.${call};`, `// ${comment}`);
  } else {
    const tree = kind === "url" ? "files" : "db";
    lines.push(`for ${wait}(const { key, text } of`, `     ${tree}.${call}) {`, "  show(key, text);", "}");
  }
  element.replaceChildren(...highlighted(lines.join("\n")));
}

/** Strings and comments stand out. */
function highlighted(text) {
  return text.split(/("(?:[^"\\]|\\.)*"|\/\/.*)/).map((part, index) => {
    if (index % 2 === 0) return part;
    const span = document.createElement(part.startsWith("//") ? "i" : "b");
    span.textContent = part;
    return span;
  });
}
