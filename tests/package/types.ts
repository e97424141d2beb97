// What the declarations promise. It is compiled, never run: what must not compile has to be an error.

import {
  init, initSync, Spinney, SpinneyError,
  type Entry, type Key, type Snapshot, type SpinneyErrorCode, type Tree, type Version,
} from "spinney";
import * as inline from "spinney/inline";
import url from "spinney/spinney.wasm";

// Exactly this type, and not one that can be assigned to it.
type Same<A, B> = (<X>() => X extends A ? 1 : 2) extends <X>() => X extends B ? 1 : 2 ? [] : [never];
function is<T>() {
  return <U>(_: U, ..._exact: Same<T, U>) => {};
}

await init();
await init(new URL("https://example.org/spinney.wasm"));
await init(fetch(url));
await init(new Uint8Array(8));
initSync(new WebAssembly.Module(new Uint8Array(8)));
await inline.init();
inline.initSync();
// @ts-expect-error the module has to come from somewhere
initSync();

const db = Spinney.memory();
is<Version>()(db.put("a", "text"));
is<Version>()(db.put(new Uint8Array(1), new Uint8Array(1)));
is<string | undefined>()(db.getText("a"));
is<number | undefined>()(db.getInto("a", new Uint8Array(9)));
is<boolean>()(db.remove("a"));
is<boolean>()(db.renamePrefix("a/", "b/"));
is<number | undefined>()(db.compareAndPut("a", 1, "b"));
is<string[]>()(db.trees());

const value = db.get("a");
// What comes out goes where a browser wants bytes.
if (value) new Blob([value]);
const image = db.image();
new Response(image);
is<Spinney>()(Spinney.fromImage(image));

for (const entry of db.list("photos/", { limit: 3, delimiter: "/", startAfter: "photos/a" })) {
  is<string>()(entry.key);
  is<boolean>()(entry.isPrefix);
  is<string | undefined>()(entry.text);
  is<number | undefined>()(entry.version);
}
const raw: Uint8Array[] = Array.from(db.scan("", { keys: "bytes" }), (entry) => entry.key);
const all: Entry<string>[] = db.scan().toArray();
const [first] = db.scan("a", { reverse: true, values: false });
is<Entry<string> | undefined>()(first);

const tree: Tree = db.tree("files");
is<(number | undefined)[]>()(db.batch().put(tree, "a", "b").expectAbsent(db, "c").commit());
is<number>()(db.transact((tx) => {
  tx.put(tree, "a", "b");
  for (const { key } of tx.scan(tree, "a", { limit: 1 })) is<Key>()(key);
  return 3;
}));
const never = (): never => db.transact((tx) => tx.abort());

const snapshot: Snapshot = db.snapshot();
is<string | undefined>()(snapshot.tree("files").getText("a"));
{
  using scoped = Spinney.memory();
  scoped.put("a", "b");
}

try {
  db.rename("a", "b");
} catch (error) {
  if (error instanceof SpinneyError && error.code === "TargetExists") {
    const code: SpinneyErrorCode = error.code;
    const bytes: number | undefined = error.lengthBytes;
    throw new Error(`${code} ${bytes}`, { cause: error });
  }
}

async function overHttp(): Promise<number> {
  const far = await Spinney.openUrl("https://example.org/catalog.spinney", { cacheBytes: 1 << 20, headers: { a: "b" } });
  const found: Uint8Array | undefined = await far.tree("files").get("a");
  const many: (Uint8Array | undefined)[] = await far.getMany(["a", new Uint8Array(1)]);
  for await (const { key } of far.list("photos/", { limit: 5 })) key.toUpperCase();
  const raw: Uint8Array[] = (await far.scan("", { keys: "bytes" }).toArray()).map((entry) => entry.key);
  const { roundTrips, etag } = far.stats();
  // @ts-expect-error nothing is written over HTTP
  far.put("a", "b");
  // @ts-expect-error answers have to be awaited
  far.count("a").toFixed();
  far.close();
  return roundTrips + many.length + raw.length + (found?.length ?? 0) + (etag?.length ?? 0);
}

// @ts-expect-error keys are strings or bytes
db.get(5);
// @ts-expect-error so are values
db.put("a", { b: 1 });
// @ts-expect-error there is no such option
db.scan("", { after: "a" });
// @ts-expect-error scan goes into every directory
db.scan("", { delimiter: "/" });
// @ts-expect-error a snapshot is not written
snapshot.put("a", "b");
// @ts-expect-error nor used in a batch
db.batch().put(snapshot, "a", "b");
// @ts-expect-error transactions read forwards
db.transact((tx) => tx.scan(tree, "", { reverse: true }));
// @ts-expect-error and do not wait
db.transact(async (tx) => tx.get(tree, "a"));
// @ts-expect-error begin with memory or fromImage
new Spinney();
// @ts-expect-error a value may be missing
db.get("a").length;

export { overHttp, raw, all, never };
