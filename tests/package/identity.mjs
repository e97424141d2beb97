// Files that the native tool writes open here and answer the same, and the other way round.
//
//   node identity.mjs PATH_OF_THE_NATIVE_TOOL

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Spinney } from "spinney";

const tool = process.argv[2];
const folder = mkdtempSync(join(tmpdir(), "spinney-identity-"));
const run = (args, input) => execFileSync(tool, args, { input, maxBuffer: 1 << 28, encoding: "utf8" });

// Enough for several blobs; some keys and values are no text.
const rows = new Map();
for (let i = 0; i < 20000; i++) {
  const name = String((i * 7919) % 20000).padStart(5, "0");
  rows.set(`tenant-${i % 40}/caf\u00e9/${name}.jpg`, `${i} `.repeat(i % 30));
}
const record = ([key, value]) => JSON.stringify({ key, value });
// As the native tool writes them: what is no text is in base64.
const field = (name, bytes) => {
  const buffer = Buffer.from(bytes);
  const text = buffer.toString("utf8");
  const isText = Buffer.from(text, "utf8").equals(buffer);
  return isText ? { [name]: text } : { [`${name}_base64`]: buffer.toString("base64") };
};
const line = ({ key, value }) => JSON.stringify({ ...field("key", key), ...field("value", value) });
const parsed = (lines) => lines.trim().split("\n").map((each) => JSON.parse(each));

try {
  // Written natively, read here.
  const native = join(folder, "native.spinney");
  run(["import", native, "--format", "jsonl", "-"], [...rows].map(record).join("\n"));
  run(["mv", native, "tenant-7/", "moved/"]);
  const opened = Spinney.fromImage(readFileSync(native));
  assert.equal(opened.check().isClean, true);
  assert.ok(opened.stats().rangeBlobs > 2, "several blobs");
  const files = opened.tree("files");
  assert.equal(files.count(), rows.size);
  assert.equal(files.count("moved/"), 500);
  const here = files.scan().toArray().map(line);
  assert.deepEqual(parsed(here.join("\n")), parsed(run(["export", native])));

  // Changed here, read natively.
  for (let i = 0; i < 500; i++) files.put(Uint8Array.of(0xff, i & 255, i >> 8), Uint8Array.of(0x80, i & 255));
  files.renamePrefix("tenant-8/", "moved-again/");
  files.removePrefix("tenant-9/");
  opened.tree("other").put("a", "1");
  const back = join(folder, "back.spinney");
  writeFileSync(back, opened.image());
  assert.equal(JSON.parse(run(["check", back, "--json"])).clean, true);
  assert.deepEqual(parsed(run(["export", back])), parsed(files.scan().toArray().map(line).join("\n")));
  run(["put", back, "later", "natively"]);
  const again = Spinney.fromImage(readFileSync(back));
  assert.equal(again.tree("files").getText("later"), "natively");
  assert.equal(again.tree("files").count("moved-again/"), 500);

  // Made here from nothing.
  const made = Spinney.memory();
  for (const [key, value] of rows) made.tree("files").put(key, value);
  const fresh = join(folder, "fresh.spinney");
  writeFileSync(fresh, made.image());
  assert.equal(JSON.parse(run(["check", fresh, "--json"])).clean, true);
  assert.equal(run(["get", fresh, [...rows.keys()][77]]).trimEnd(), [...rows.values()][77].trimEnd());
  console.log(`${rows.size} keys went to and fro`);
} finally {
  rmSync(folder, { recursive: true });
}
