// What the declarations promise. It is compiled, never run: what must not compile has to be an error.

import {
  init, initSync, Spinney, SpinneyError,
  SpinneyClient, TreeClient, type Entry, type Key, type Snapshot, type SpinneyErrorCode, type Tree, type Version,
} from "spinney";
// @ts-expect-error: it is not there when the code runs
import { Reader } from "spinney";
import * as inline from "spinney/inline";
import * as reading from "spinney/remote";
import remoteModule from "spinney/remote.wasm";
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

const durable = await Spinney.openOpfs("catalog", { durability: "buffered", cacheBytes: 1 << 20, waitMs: 0 });
is<Version>()(durable.put("a", "b"));
is<void>()(durable.sync());
is<Promise<void>>()(durable.close());
const asMemory: Spinney = durable;
is<Tree>()(db.withDurability("sync"));
is<Tree>()(tree.withDurability("buffered"));
db.batch().durability("sync").put(tree, "a", "b").commit();
await Spinney.importOpfs("catalog", image);
await Spinney.importOpfs("catalog", new File([image], "x"));
await Spinney.importOpfs("catalog", new Blob([image]).stream());
is<boolean>()(await Spinney.deleteOpfs("catalog"));
is<string[]>()(await Spinney.listOpfs());

const client: SpinneyClient = await Spinney.openWorker("catalog", { worker: new Worker("/own.js"), source: image });
const remote: TreeClient = client.tree("files").withDurability("sync");
is<Version>()(await client.put("a", "b"));
is<string | undefined>()(await remote.getText("a"));
is<(number | undefined)[]>()(await client.batch().put(remote, "a", "b").expectAbsent(client, "c").commit());
for await (const entry of remote.list("photos/", { limit: 3 })) is<string>()(entry.key);
for await (const entry of remote.scan("", { keys: "bytes" })) new Blob([entry.key]);
await client.close();
{
  await using scoped = await Spinney.openOpfs("scoped");
  scoped.put("a", "b");
}
// @ts-expect-error there are two kinds of durability
db.withDurability("never");
// @ts-expect-error there is no such option
await Spinney.openOpfs("catalog", { cache: 5 });
// @ts-expect-error a tree of a worker is none of this database
db.batch().put(remote, "a", "b");
// @ts-expect-error and a promise is no value
remote.getText("a").length;
// @ts-expect-error a database in memory has nothing to sync
db.sync();

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

export { overHttp, raw, all, never, asMemory };

// What only reads is of the same types.
const catalog: import("spinney").RemoteSpinney = await reading.openUrl(new URL("https://example.org/catalog.spinney"));
await reading.init(fetch(remoteModule));
for await (const { key } of catalog.list("photos/")) is<string>()(key);
// @ts-expect-error: nothing is written
void reading.Spinney;
