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
  event.respondWith(fresh(request));
});

async function fresh(request) {
  const cache = await caches.open(CACHE);
  try {
    const response = await fetch(request);
    if (response.status === 200) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const kept = await cache.match(request, { ignoreSearch: true });
    if (kept) return kept;
    throw error;
  }
}
