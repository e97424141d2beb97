//! What the case measures: the rows of its tables. Their names are how results of several runs are matched.

#![forbid(unsafe_code)]

use crate::report::Metric;

pub const PUT_RANDOM: Metric = Metric::less("put, random order", "ns", 0);
pub const PUT_SORTED: Metric = Metric::less("put, sorted order", "ns", 0);
pub const GET: Metric = Metric::less("get hit", "ns", 0);
pub const GET_INTO: Metric = Metric::less("get hit, into a buffer", "ns", 0);
pub const GET_MANY: Metric = Metric::less("get 32 keys at once, a key", "ns", 0);
pub const MISS: Metric = Metric::less("get miss", "ns", 0);
pub const OVERWRITE: Metric = Metric::less("overwrite, same length", "ns", 0);
pub const REMOVE: Metric = Metric::less("remove", "ns", 0);
pub const SCAN: Metric = Metric::less("scan, lending, an entry", "ns", 1);
pub const SCAN_OWNED: Metric = Metric::less("scan, owned, an entry", "ns", 1);
pub const SCAN_SORTED: Metric = Metric::less("scan, lending, built sorted", "ns", 1);
pub const SCAN_SORTED_OWNED: Metric = Metric::less("scan, owned, built sorted", "ns", 1);
pub const LIST: Metric = Metric::less("list 100 directories", "us", 2);
pub const LIST_SPREAD: Metric = Metric::less("the same, many such by turns", "us", 2);
pub const LIST_OWNED: Metric = Metric::less("list 100 directories, owned", "us", 2);
pub const LIST_CACHED: Metric = Metric::less("list 100 again, nothing written", "us", 2);
pub const LIST_FIFTY: Metric = Metric::less("list ~50 directories of many keys", "us", 2);
pub const LIST_FLAT: Metric = Metric::less("list a flat directory, a key", "ns", 1);
pub const LIST_SAMPLE: Metric = Metric::less("list any directory, by turns", "us", 2);
pub const PAGE: Metric = Metric::less("page of 1000 keys, by turns", "us", 1);
pub const ONE_READER: Metric = Metric::more("1 reader", "M gets/s", 3);
pub const TWO_READERS: Metric = Metric::more("2 readers", "M gets/s", 3);
pub const SCALING: Metric = Metric::more("2 readers against 1", "x", 2);
pub const SCALING_BUSY: Metric = Metric::more("2 readers against 1, processor time", "x", 2);
pub const READER_ALONE: Metric = Metric::more("a shared reader alone", "M gets/s", 3);
pub const READER_BESIDE: Metric = Metric::more("a reader beside a writer", "M gets/s", 3);
pub const KEPT: Metric = Metric::more("a reader beside a writer keeps", "%", 0);
pub const KEPT_BUSY: Metric = Metric::more("the same, processor time", "%", 0);
pub const WRITER_BESIDE: Metric = Metric::more("that writer", "M puts/s", 3);
pub const BYTES_RANDOM: Metric = Metric::less("bytes per key, put random", "B", 1);
pub const BYTES_SORTED: Metric = Metric::less("bytes per key, put sorted", "B", 1);
pub const FILL_RANDOM: Metric = Metric::fact("fill, put random", "", 3);
pub const FILL_SORTED: Metric = Metric::fact("fill, put sorted", "", 3);
pub const HOPS_RANDOM: Metric = Metric::fact("hops below the root, put random", "", 0);
pub const HOPS_SORTED: Metric = Metric::fact("hops below the root, put sorted", "", 0);
pub const DEPTH_RANDOM: Metric = Metric::fact("blobs from the root to a key, put random", "", 2);
pub const DEPTH_SORTED: Metric = Metric::fact("blobs from the root to a key, put sorted", "", 2);
