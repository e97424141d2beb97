// The page of a user, as each bundler builds it: loads, writes, lists, opens an image, and says how it went.

import { init, Spinney, SpinneyError } from "spinney";

async function main() {
  let early;
  try {
    Spinney.memory();
  } catch (error) {
    early = error;
  }
  if (!(early instanceof SpinneyError) || early.code !== "NotInitialized") throw new Error(`early: ${early}`);
  await Promise.all([init(), init()]);
  const db = Spinney.memory();
  for (let i = 0; i < 1000; i++) db.put(`photos/${i % 10}/${i}.jpg`, `photo ${i}`);
  db.renamePrefix("photos/3/", "archive/");
  const copy = Spinney.fromImage(db.image());
  db.close();
  const keys = Array.from(copy.list(""), (entry) => entry.key).join();
  // Wherever there are workers, the one of the package is found.
  const remote = await Spinney.openWorker("bundled");
  await remote.put("a", "from the worker");
  if ((await remote.getText("a")) !== "from the worker") throw new Error("the worker has lost it");
  await remote.close();
  await Spinney.deleteOpfs("bundled");
  return `${keys} ${copy.count("archive/")} ${copy.getText("archive/13.jpg")} ${copy.check().isClean}`;
}

main().then(
  (result) => (globalThis.result = result),
  (error) => (globalThis.result = `failed: ${error.stack}`),
);
