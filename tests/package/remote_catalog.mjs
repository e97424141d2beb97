// A made-up catalog of objects: directories of a thousand, one of five thousand, and one with small ones.

const PARTS = 1000;
const WIDE = 5000;

function hash(number) {
  let all = "";
  for (let i = 1; all.length < 32; i++) {
    all += (Math.imul(number + 77 * i, 0x9e3779b1) >>> 0).toString(16).padStart(8, "0");
  }
  return all;
}

function* paths(count) {
  for (let i = 0; i < count; i++) {
    const batch = Math.floor(i / PARTS);
    const project = String(Math.floor(batch / 20)).padStart(3, "0");
    const name = `part-${String(i % PARTS).padStart(5, "0")}-${hash(i).slice(0, 6)}.parquet`;
    yield `projects/p${project}/batch-${String(batch % 20).padStart(2, "0")}/${name}`;
  }
  for (let i = 0; i < WIDE; i++) yield `wide/object-${String(i).padStart(6, "0")}`;
}

/** The image of a catalog with about so many paths, and the same database in memory. */
export function catalog(Spinney, count) {
  const db = Spinney.memory();
  const files = db.tree("files");
  let i = 0;
  for (const path of paths(count - WIDE)) {
    files.put(path, `{"size":${1000 + ((i * 7919) % 100000)},"etag":"${hash(i++)}"}`);
  }
  const owners = db.tree("owners");
  owners.put("projects/", "Ada");
  db.put("readme", "hello");
  return { db, image: db.image() };
}

/** A database of a few blobs, smaller than what is read whole from a server without ranges. */
export function smallCatalog(Spinney) {
  const db = Spinney.memory();
  for (let i = 0; i < 3000; i++) db.put(`key-${String(i).padStart(6, "0")}`, `value ${i}`);
  db.put("key-000500-long", new Uint8Array(300_000).fill(7));
  return db;
}
