// A tab that does what the tests ask of it, with a database in a worker.

import { Spinney } from "spinney";

let db;

globalThis.tab = {
  async open(name, options) {
    try {
      db = await Spinney.openWorker(name, options);
      return "open";
    } catch (error) {
      return error.code ?? String(error);
    }
  },
  close: () => db.close().then(() => "closed"),
  put: (key, value) => db.put(key, value),
  get: (key) => db.getText(key),
  getIn: (tree, key) => db.tree(tree).getText(key),
  count: (prefix) => db.count(prefix),
  countIn: (tree, prefix) => db.tree(tree).count(prefix),
  isClean: async () => (await db.check()).isClean,
  /** Writes until that is refused. */
  async fill() {
    let count = 0;
    try {
      for (; count < 100000; count++) await db.put(`fill/${count}`, new Uint8Array(20000));
      return { count, code: "none" };
    } catch (error) {
      return { count, code: error.code, message: error.message };
    }
  },
  async change(tree) {
    const files = db.tree(tree);
    await files.renamePrefix("dir-7/", "moved/");
    await files.removePrefix("dir-8/");
    await files.put("here", "written in the browser");
  },
  /** Files are imported in workers. */
  importBase64: (name, base64) =>
    new Promise((resolve, reject) => {
      const worker = new Worker("/app/import_worker.js", { type: "module" });
      worker.onmessage = ({ data }) => (data === "imported" ? resolve() : reject(new Error(data)));
      worker.onerror = (event) => reject(new Error(event.message));
      worker.postMessage({ name, base64 });
    }),
  async fileBase64(name) {
    const folder = await navigator.storage.getDirectory();
    const file = await (await folder.getFileHandle(`${name}.spinney`)).getFile();
    const url = await new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.readAsDataURL(file);
    });
    return url.slice(url.indexOf(",") + 1);
  },
};
