// Passes on what the worker says to the process that is going to kill this browser.

globalThis.startWorker = (task) => {
  const worker = new Worker("/app/kill_worker.js", { type: "module" });
  worker.onmessage = ({ data }) => globalThis.note(data);
  worker.onerror = (event) => globalThis.note({ failed: event.message ?? "the worker could not be loaded" });
  worker.postMessage(task);
};
