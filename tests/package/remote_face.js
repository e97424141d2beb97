// Tests of databases that are read over HTTP, in Node.js and in a browser. `served` has the address of a
// remote_server.mjs; /catalog.spinney there is the database `db`, /small.spinney one of a few blobs.

import { assert, same } from "./wasm_common/assert.js";

let ids = 0;

function at(served, mode = "plain", file = "catalog") {
  return `${served.address}/${file}.spinney?mode=${mode}&id=${served.name}${ids++}`;
}

async function refused(promise, code, fields = {}) {
  let error;
  try {
    await promise;
  } catch (thrown) {
    error = thrown;
  }
  assert(error !== undefined, `${code} was expected`);
  same(error.name, "SpinneyError", `name of ${error.stack}`);
  same(error.code, code, `code of ${error}`);
  for (const [name, value] of Object.entries(fields)) same(error[name], value, `${name} of ${error}`);
  assert(error.message.length > 10, `message of ${error}`);
  return error;
}

const shown = (entry) => entry && `${entry.key} ${entry.isPrefix} ${entry.version} ${entry.text}`;

// Every read of a database in memory, and the same over HTTP.
export async function answersAreThoseOfTheDatabase({ openUrl, served, db }) {
  const remote = await openUrl(at(served));
  same((await remote.trees()).join(), db.trees().join(), "trees");
  same(await remote.getText("readme"), "hello", "the default tree");
  const [near, far] = [db.tree("files"), remote.tree("files")];
  const prefixes = ["", "projects/", "projects/p000/", "projects/p001/batch-03/", "wide/", "wide/object-0049", "none/"];
  for (const prefix of prefixes) {
    for (const options of [{}, { limit: 7 }, { reverse: true, limit: 20 }, { startAfter: `${prefix}object-000700` }]) {
      for (const how of ["list", "scan"]) {
        if (how === "scan" && options.limit === undefined && prefix.length < 12) continue;
        const expected = near[how](prefix, options).toArray().map(shown).join("\n");
        const found = (await far[how](prefix, options).toArray()).map(shown).join("\n");
        same(found, expected, `${how} ${prefix} ${JSON.stringify(options)}`);
      }
    }
    same(await far.count(prefix), near.count(prefix), `count ${prefix}`);
    same(shown(await far.first(prefix)), shown(near.scan(prefix, { limit: 1 }).toArray()[0]), `first ${prefix}`);
    same(shown(await far.last(prefix)), shown(near.scan(prefix, { limit: 1, reverse: true }).toArray()[0]), `last ${prefix}`);
  }
  const keys = Array.from({ length: 40 }, (_, i) => `wide/object-${String(i * 150).padStart(6, "0")}`);
  const [some, others] = [near.getMany(keys), await far.getMany(keys)];
  same(others.map((value) => value && value.join()).join("\n"), some.map((value) => value && value.join()).join("\n"), "getMany");
  const [key] = keys;
  same((await far.get(key)).join(), near.get(key).join(), "get");
  same(shown(await far.getEntry(key)), shown(near.getEntry(key)), "getEntry");
  same(await far.contains(key), true, "contains");
  same(await far.get("wide/nothing"), undefined, "a miss");
  same(shown(await far.longestPrefix(`${key}/behind`)), shown(near.longestPrefix(`${key}/behind`)), "longestPrefix");
  let count = 0;
  for await (const { key } of far.list("wide/")) {
    assert(key.startsWith("wide/object-"), key);
    if (++count === 100) break;
  }
  await refused(remote.tree("nothing").get("a"), "NoSuchTree", { tree: "nothing" });
  await refused(far.get(7), "InvalidArgument", { argument: "key" });
  await refused(far.get("x".repeat(70000)), "KeyTooLong");
  const { sizeBytes, etag, requests, pagesCached } = remote.stats();
  assert(sizeBytes % 524288 === 0 && etag === '"one"' && requests > 5 && pagesCached > 20, "stats");
  remote.close();
  remote.close();
  await refused(far.get(key), "Closed");
  await refused(remote.trees(), "Closed");
}

// What a lookup takes, and that what the database says it has cost is what the server has given.
export async function aDirectoryTakesFewTripsAndBytes({ openUrl, served, isLarge }) {
  const address = at(served);
  const remote = await openUrl(address);
  const files = remote.tree("files");
  const cost = () => {
    const { roundTrips, bytesFetched, requests } = remote.stats();
    return { roundTrips, bytesFetched, requests };
  };
  const since = (before, now) => ({
    roundTrips: now.roundTrips - before.roundTrips,
    bytes: now.bytesFetched - before.bytesFetched,
    requests: now.requests - before.requests,
  });
  const none = { roundTrips: 0, bytesFetched: 0, requests: 0 };
  const [first, second] = ["projects/p001/batch-05/", "projects/p001/batch-06/"];
  const opened = since(none, cost());
  const children = await files.list(first).toArray();
  same(children.length, 1000, "children");
  const listed = since(none, cost());
  const between = cost();
  same((await files.list(second, { limit: 300 }).toArray()).length, 300, "children");
  const nearby = since(between, cost());
  const behind = cost();
  await files.get(children[500].key);
  same(since(behind, cost()).requests, 0, "requests for what was read already");

  const wide = await openUrl(at(served));
  same((await wide.tree("files").list("wide/").toArray()).length, 5000, "children");
  const { roundTrips, bytesFetched: bytes, requests } = wide.stats();
  const counts = await (await fetch(`${served.address}/counts?id=${new URL(address).searchParams.get("id")}`)).json();
  same(counts.bytes, cost().bytesFetched, "bytes that the server has given");
  same(counts.requests, cost().requests, "requests that the server has had");
  wide.close();
  remote.close();
  const text = JSON.stringify({ opened, listed, nearby, wide: { roundTrips, bytes, requests } });
  assert(opened.roundTrips <= 2 && opened.bytes < 150000, `opened: ${text}`);
  assert(listed.roundTrips < 6 && listed.bytes < 300000, `listed: ${text}`);
  assert(nearby.roundTrips <= 3 && nearby.bytes < 50000, `nearby: ${text}`);
  assert(roundTrips < 6 && bytes < 1000000, `wide: ${text}`);
  return text;
}

// Of blobs inside of what is counted the first page is enough.
export async function aCountReadsNoLeavesOfWholeBlobs({ openUrl, served, db }) {
  for (const prefix of ["", "projects/", "projects/p000/"]) {
    const remote = await openUrl(at(served));
    same(await remote.tree("files").count(prefix), db.tree("files").count(prefix), `count ${prefix}`);
    const { roundTrips, bytesFetched, sizeBytes } = remote.stats();
    assert(roundTrips <= 6 && bytesFetched < sizeBytes / 4, `${prefix}: ${roundTrips} trips, ${bytesFetched} bytes`);
    remote.close();
  }
}

// More keys than one call of the module could bring the pages of.
export async function anyNumberOfKeysIsLookedUp({ openUrl, served, db }) {
  const keys = [];
  for (const { key } of db.tree("files").list("wide/")) keys.push(key, `${key}-none`);
  for (const project of ["p000", "p001", "p002"]) {
    for (const { key } of db.tree("files").scan(`projects/${project}/`, { limit: 10000 })) keys.push(key);
  }
  assert(keys.length > 20000, `${keys.length} keys`);
  const remote = await openUrl(at(served));
  const [expected, found] = [db.tree("files").getMany(keys), await remote.tree("files").getMany(keys)];
  same(found.length, keys.length, "values");
  const differ = found.findIndex((value, i) => value?.join() !== expected[i]?.join());
  same(differ, -1, `the first other value, of ${keys[differ]}`);
  same((await remote.tree("files").getMany([])).length, 0, "no keys");
  remote.close();
}

export async function whatIsUnderWayIsAskedForOnce({ openUrl, served }) {
  const alone = await openUrl(at(served));
  await alone.tree("files").list("wide/").toArray();
  const both = await openUrl(at(served));
  const files = both.tree("files");
  const [one, other] = await Promise.all([files.list("wide/").toArray(), both.tree("files").list("wide/").toArray()]);
  same(one.length, other.length, "children");
  const [single, double] = [alone.stats().bytesFetched, both.stats().bytesFetched];
  assert(double <= single * 1.05, `${double} bytes for two, ${single} for one`);
  alone.close();
  both.close();
}

// A cache of one blob gives the same answers, and what was read is really given back.
export async function callsThatDoNotWaitAreAnsweredInTheirOrder({ openUrl, served, db }) {
  const remote = await openUrl(at(served));
  const expected = db.tree("files").scan("wide/", { limit: 3000 }).toArray().map(shown);
  const scan = () => remote.tree("files").scan("wide/", { limit: 3000 });
  const all = scan();
  const [first, second, rest] = await Promise.all([all.next(), all.next(), all.toArray()]);
  same([first.value, second.value, ...rest].map(shown).join("\n"), expected.join("\n"), "two, and the rest");
  const ended = scan();
  const [one, end] = await Promise.all([ended.next(), ended.return(7)]);
  same(shown(one.value), expected[0], "asked for before it was ended");
  same(`${end.done} ${end.value} ${(await ended.next()).done}`, "true 7 true", "ended");
  const paged = scan();
  const before = paged.next();
  const pages = [];
  for await (const page of paged.pages()) pages.push(...page);
  same([(await before).value, ...pages].map(shown).join("\n"), expected.join("\n"), "one, and the rest in pages");
  remote.close();
}

export async function aSmallCacheComesToAnEnd({ openUrl, served, db }) {
  const remote = await openUrl(at(served), { cacheBytes: 0 });
  const [near, far] = [db.tree("files"), remote.tree("files")];
  for (const prefix of ["projects/p000/batch-01/", "wide/", "projects/p001/batch-05/", "wide/"]) {
    same((await far.list(prefix).toArray()).length, near.list(prefix).toArray().length, prefix);
  }
  const many = ["wide/", "projects/p000/batch-01/", "projects/p001/batch-05/"].map((prefix) => far.scan(prefix).toArray());
  const lengths = (await Promise.all(many)).map((entries) => entries.length);
  same(lengths.join(), "5000,1000,1000", "at the same time");
  same(await far.count(), near.count(), "count");
  remote.close();
}

export async function smallFilesAreReadWholeWhereThereAreNoRanges({ openUrl, served, small }) {
  for (const mode of ["no-ranges", "no-ranges-no-length"]) {
    const remote = await openUrl(at(served, mode, "small"));
    same(await remote.getText("key-000123"), small.getText("key-000123"), mode);
    same((await remote.scan().toArray()).length, small.scan().toArray().length, mode);
    assert(remote.stats().requests <= 2, mode);
    remote.close();
    await refused(openUrl(at(served, mode)), "RangeNotSupported", { status: 200 });
  }
  for (const mode of ["plain", "no-etag"]) {
    const remote = await openUrl(at(served, mode, "small"));
    same(await remote.getText("key-000123"), small.getText("key-000123"), mode);
    same((await remote.get("key-000500-long")).join(), small.get("key-000500-long").join(), "a long value");
    const lengths = (await remote.scan("key-0005").toArray()).map((entry) => entry.value.length).join();
    same(lengths, small.scan("key-0005").toArray().map((entry) => entry.value.length).join(), "with a long value");
    remote.close();
  }
}

export async function everyMisbehaviourHasItsError({ openUrl, served }) {
  const url = (mode) => at(served, mode);
  const opening = {
    "404": ["NotFound", 404],
    "403": ["Forbidden", 403],
    "418": ["BadResponse", 418],
    gzip: ["ContentEncoding", 206],
    "other-range": ["BadResponse", 206],
    "no-range-header": ["BadResponse", 206],
    "unknown-size": ["BadResponse", 206],
    long: ["BadResponse", 206],
    garbage: ["NotSpinney"],
    "500": ["ServerError", 500],
    short: ["BadResponse", 206],
    "cut-off": ["Network", 206],
  };
  const cases = Object.entries(opening).map(async ([mode, [code, status]]) => {
    const address = url(mode);
    // A browser fails to decode it before anybody can see the header.
    if (mode === "gzip" && served.name.startsWith("page")) return refused(openUrl(address), "Network", { url: address });
    const fields = status === undefined ? {} : { status, url: address };
    const error = await refused(openUrl(address), code, fields);
    assert(status === undefined || error.message.includes(address), `${mode}: ${error}`);
  });
  const reading = {
    "ranges-end": ["RangeNotSupported", 200],
    replaced: ["Changed", 206],
    "replaced-later": ["Changed", 206],
    "other-size": ["Changed", 206],
    shorter: ["Changed", 416],
    gone: ["NotFound", 404],
    damaged: ["Corrupt"],
  };
  for (const [mode, [code, status]] of Object.entries(reading)) {
    cases.push((async () => {
      const remote = await openUrl(url(mode));
      const read = remote.tree("files").scan("wide/").toArray();
      await refused(read, code, status === undefined ? {} : { status });
      remote.close();
    })());
  }
  await Promise.all(cases);
  await refused(openUrl("http://127.0.0.1:1/nothing"), "Network", { url: "http://127.0.0.1:1/nothing" });
  await refused(openUrl(7), "InvalidArgument", { argument: "url" });
  await refused(openUrl(url("plain"), { cacheBytes: -1 }), "InvalidArgument", { argument: "cacheBytes" });
}

export async function whatPassesIsTriedAgain({ openUrl, served, db }) {
  for (const mode of ["500-once", "cut-off-once"]) {
    const remote = await openUrl(at(served, mode));
    const found = await remote.tree("files").list("wide/").toArray();
    same(found.length, db.tree("files").list("wide/").toArray().length, mode);
    remote.close();
  }
}

export async function whoeverGivesUpIsNotKeptWaiting({ openUrl, served }) {
  const stop = new AbortController();
  const remote = await openUrl(at(served, "hangs"), { signal: stop.signal });
  const read = remote.tree("files").list("wide/").toArray();
  setTimeout(() => stop.abort(), 50);
  await refused(read, "Cancelled");
  const other = await openUrl(at(served, "hangs"));
  const late = other.tree("files").list("wide/").toArray();
  setTimeout(() => other.close(), 50);
  await refused(late, "Cancelled");
  await refused(openUrl(at(served), { signal: AbortSignal.abort() }), "Cancelled");
}

export async function theOptionsReachTheServer({ openUrl, served }) {
  const asked = [];
  const own = (input, init) => {
    asked.push([input, init.headers.get("authorization"), init.headers.get("range")]);
    return fetch(input, init);
  };
  const address = at(served);
  const remote = await openUrl(new URL(address), { fetch: own, headers: { authorization: "Bearer x" } });
  same(asked.length, remote.stats().requests, "requests");
  assert(asked.every(([url, header, range]) => url === address && header === "Bearer x" && range.startsWith("bytes=")), "headers");
  remote.close();
}
