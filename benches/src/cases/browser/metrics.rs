//! What the script in `benches/browser` measures, under the names that it prints.

#![forbid(unsafe_code)]

use crate::report::Metric;

// In memory: all paths in random order into an empty store, the sorting of the Map's keys with it.
pub const PUT: Metric = Metric::less("put", "us", 2);
// Bytes of objects, buffers and memories of wasm that the page holds more than before.
pub const BYTES: Metric = Metric::less("memory, a path", "bytes", 0);

// In both.
pub const GET: Metric = Metric::less("get", "us", 2);
// Directories of files alone, and of directories alone.
pub const LIST: Metric = Metric::less("list, a child", "us", 3);
const LIST_ABOVE: Metric = Metric::less("list of directories, a child", "us", 3);
pub const SCAN_KEYS: Metric = Metric::less("scan of keys, a row", "us", 3);
pub const SCAN: Metric = Metric::less("scan, a row", "us", 3);
// As an array, with values.
pub const PAGE: Metric = Metric::less("page of 1000", "us", 0);

// In files. All paths in random order as each does it best, until they are in their place.
const FILL: Metric = Metric::less("fill, a path", "us", 2);
// Each on the disk before the next.
pub const DURABLE: Metric = Metric::less("put, durable", "us", 0);
pub const BUFFERED: Metric = Metric::less("put, buffered", "us", 2);
// In a fresh worker, the module loaded; SQLite has to open a pool of files within.
pub const OPEN_ROOT: Metric = Metric::less("open and list the root", "ms", 1);
pub const OPEN_DIRECTORY: Metric = Metric::less("open and list a directory", "ms", 1);
const POOL_ROOT: Metric = Metric::fact("open and list the root: SQLite's pool", "ms", 1);
const POOL_DIRECTORY: Metric = Metric::fact("open and list a directory: SQLite's pool", "ms", 1);

pub const METRICS: &[Metric] = &[
    PUT,
    BYTES,
    GET,
    LIST,
    LIST_ABOVE,
    SCAN_KEYS,
    SCAN,
    PAGE,
    FILL,
    DURABLE,
    BUFFERED,
    OPEN_ROOT,
    OPEN_DIRECTORY,
    POOL_ROOT,
    POOL_DIRECTORY,
];
