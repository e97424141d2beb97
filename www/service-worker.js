// The page without a network: what was loaded once is kept, and served when it cannot be fetched. Whoever has
// a network always gets what is on the server now.
//
// Byte ranges, and so the catalog, go past it.

const CACHE = "spinney-page";
self.addEventListener("install", (event) => {
  self.skipWaiting();
  event.waitUntil(keepAll());
});

// Whoever puts the page together lists its files: those of the package have names of their own.
async function keepAll() {
  const files = await (await fetch("files.json")).json();
  const cache = await caches.open(CACHE);
  await cache.addAll(["./", ...files]);
}

self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const isOurs = new URL(request.url).origin === location.origin;
  if (request.method !== "GET" || !isOurs || request.headers.has("range") || request.url.includes(".spinney"))
    return;
  event.respondWith(fresh(event));
});

async function fresh(event) {
  const { request } = event;
  try {
    const response = await fetch(request);
    // Nobody waits for that; and where there is no space for it, the answer is as good.
    if (response.status === 200) event.waitUntil(keep(request, response.clone()).catch(() => {}));
    return response;
  } catch (error) {
    const kept = await (await caches.open(CACHE)).match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}

async function keep(request, response) {
  await (await caches.open(CACHE)).put(request, response);
}
