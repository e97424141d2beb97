// Imports one database.

import { init, Spinney } from "/node_modules/spinney/index.js";

onmessage = async ({ data: { name, base64 } }) => {
  try {
    await init();
    const response = await fetch(`data:application/octet-stream;base64,${base64}`);
    await Spinney.importOpfs(name, response.body);
    postMessage("imported");
  } catch (error) {
    postMessage(String(error.stack));
  }
  close();
};
