// A static server that knows ranges of bytes, counts what it gives, and misbehaves where the address says so.
//
//   /catalog.spinney?mode=MODE&id=ID    MODE: see `modes`; what an id has asked for is counted on its own
//   /counts?id=ID                       what was asked for so far: { requests, bytes }

import { createServer } from "node:http";

const cors = {
  "access-control-allow-origin": "*",
  "access-control-allow-headers": "*",
  "access-control-expose-headers": "content-range, etag, last-modified, content-encoding",
  "cross-origin-resource-policy": "cross-origin",
};

// Each gets what it may change: status, headers, body; the file; how many requests there were before.
const modes = {
  plain: () => {},
  "no-etag": (answer) => delete answer.headers.etag,
  "no-ranges": (answer, file) => Object.assign(answer, whole(file)),
  "no-ranges-no-length": (answer, file) => Object.assign(answer, whole(file), { isChunked: true }),
  "ranges-end": (answer, file, before) => before > 3 && Object.assign(answer, whole(file)),
  "other-range": (answer) => (answer.headers["content-range"] = answer.headers["content-range"].replace("bytes ", "bytes 1")),
  "no-range-header": (answer) => delete answer.headers["content-range"],
  "unknown-size": (answer) => (answer.headers["content-range"] = answer.headers["content-range"].replace(/\d+$/, "*")),
  short: (answer) => (answer.body = answer.body.subarray(0, answer.body.length - 100)),
  long: (answer) => (answer.body = Buffer.concat([answer.body, Buffer.alloc(100)])),
  "cut-off": (answer) => (answer.isCutOff = true),
  "cut-off-once": (answer, file, before) => (answer.isCutOff = before % 3 === 0),
  "404": (answer) => Object.assign(answer, failure(404)),
  "403": (answer) => Object.assign(answer, failure(403)),
  "500": (answer) => Object.assign(answer, failure(500)),
  "500-once": (answer, file, before) => before % 2 === 0 && Object.assign(answer, failure(503)),
  "418": (answer) => Object.assign(answer, failure(418)),
  gzip: (answer) => (answer.headers["content-encoding"] = "gzip"),
  replaced: (answer, file, before) => before > 3 && (answer.headers.etag = '"another"'),
  "replaced-later": (answer, file, before) => {
    delete answer.headers.etag;
    if (before > 3) answer.headers["last-modified"] = new Date(86400000).toUTCString();
  },
  "other-size": (answer, file, before) => {
    if (before > 3) answer.headers["content-range"] = answer.headers["content-range"].replace(/\d+$/, "99999999");
  },
  gone: (answer, file, before) => before > 3 && Object.assign(answer, failure(404)),
  shorter: (answer, file, before) => before > 3 && Object.assign(answer, failure(416)),
  garbage: (answer) => (answer.body = Buffer.alloc(answer.body.length, 0x5a)),
  damaged: (answer, file, before) => before > 3 && (answer.body[answer.body.length - 5] ^= 1),
  hangs: (answer, file, before) => (answer.hangs = before > 3),
};

function whole(file) {
  return { status: 200, body: Buffer.from(file), headers: { "content-length": file.length } };
}

function failure(status) {
  return { status, body: Buffer.from("no"), headers: {} };
}

/** Serves files by their paths. */
export async function serveFiles(files) {
  const counts = new Map();
  const countsOf = (id) => counts.get(id) ?? counts.set(id, { requests: 0, bytes: 0 }).get(id);
  const server = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url, "http://localhost");
    const mine = countsOf(searchParams.get("id") ?? "");
    if (request.method === "OPTIONS") return response.writeHead(204, cors).end();
    if (pathname === "/counts") {
      return response.writeHead(200, { ...cors, "content-type": "application/json" }).end(JSON.stringify(mine));
    }
    const file = files[pathname];
    if (!file) return response.writeHead(404, cors).end();
    const answer = answerTo(request.headers.range, file);
    modes[searchParams.get("mode") ?? "plain"](answer, file, mine.requests);
    mine.requests += 1;
    mine.bytes += answer.body.length;
    send(response, answer);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { address: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

function answerTo(range, file) {
  const match = /^bytes=(\d+)-(\d+)$/.exec(range ?? "");
  const headers = { etag: '"one"', "last-modified": new Date(0).toUTCString(), "accept-ranges": "bytes" };
  if (!match) return { ...whole(file), headers: { ...headers, "content-length": file.length } };
  const start = Number(match[1]);
  const end = Math.min(Number(match[2]) + 1, file.length);
  if (start >= file.length) return { status: 416, headers: { "content-range": `bytes */${file.length}` }, body: Buffer.alloc(0) };
  const body = Buffer.from(file.subarray(start, end));
  return { status: 206, headers: { ...headers, "content-range": `bytes ${start}-${end - 1}/${file.length}` }, body };
}

function send(response, { status, headers, body, isCutOff, isChunked, hangs }) {
  if (hangs) return;
  const { "content-length": told, ...others } = headers;
  if (isCutOff) {
    response.writeHead(status, { ...cors, ...others, "content-length": body.length });
    response.write(body.subarray(0, body.length / 2), () => response.destroy());
    return;
  }
  response.writeHead(status, { ...cors, ...others, ...(isChunked ? {} : { "content-length": told ?? body.length }) });
  if (isChunked) response.write(body.subarray(0, 10));
  response.end(isChunked ? body.subarray(10) : body);
}
