// Where the reader is: a view and a directory, as they stand in the address of the page, so that the
// browser's back, bookmarks and links work.

export const VIEWS = ["catalog", "play"];

/** `{ view, prefix }` of the address. */
export function here() {
  const [, view = "catalog", path = ""] = /^#([a-z]+)\/?(.*)$/s.exec(location.hash) ?? [];
  return { view: VIEWS.includes(view) ? view : "catalog", prefix: decoded(path) };
}

function decoded(path) {
  try {
    return decodeURIComponent(path);
  } catch {
    // Somebody has typed it.
    return path;
  }
}

/** The address of a directory. */
export function addressOf(view, prefix) {
  const path = prefix
    .split("/")
    .map((name) => encodeURIComponent(name))
    .join("/");
  return `#${view}/${path}`;
}

/** The directory that a key or a directory lies in. */
export function parentOf(path) {
  const end = path.endsWith("/") ? path.length - 1 : path.length;
  return path.slice(0, path.lastIndexOf("/", end - 1) + 1);
}

/** The last part of a key or a directory, a directory with its slash. */
export function nameOf(path) {
  return path.slice(parentOf(path).length);
}
