//! Keys and values: made from a seed, the same on every machine.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead};
use std::path::Path;

/// Bytes of every value.
pub const VALUE_LEN: usize = 100;

/// xoshiro256++, seeded through splitmix64.
#[derive(Clone)]
pub struct Rng([u64; 4]);

impl Rng {
    pub fn new(seed: u64) -> Self {
        let mut state = seed;
        Self(std::array::from_fn(|_| {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        }))
    }

    pub fn next(&mut self) -> u64 {
        let s = &mut self.0;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        ((u128::from(self.next()) * n as u128) >> 64) as usize
    }

    /// Uniform in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// Towards the front of the slice: the minimum of two draws.
    fn pick_skewed<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len()).min(self.below(from.len()))]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Many byte strings in one run of memory, so that reading the next one costs the same little for
/// every store that is measured.
#[derive(Default, Clone)]
pub struct Keys {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Keys {
    pub fn push(&mut self, key: &[u8]) {
        self.bytes.extend_from_slice(key);
        self.ends.push(u32::try_from(self.bytes.len()).expect("keys of one family stay below 4 GB"));
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn total_bytes(&self) -> usize {
        self.bytes.len()
    }

    pub fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[u8]> + Clone {
        (0..self.len()).map(|i| self.get(i))
    }

    /// The place of the first key that is not below `key`; they must be sorted.
    pub fn lower_bound(&self, key: &[u8]) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle) < key { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// Whether `key` is one of these; they must be sorted.
    pub fn holds(&self, key: &[u8]) -> bool {
        let at = self.lower_bound(key);
        at < self.len() && self.get(at) == key
    }
}

impl<K: AsRef<[u8]>> FromIterator<K> for Keys {
    fn from_iter<I: IntoIterator<Item = K>>(items: I) -> Self {
        let mut keys = Self::default();
        for item in items {
            keys.push(item.as_ref());
        }
        keys
    }
}

/// Keys in the order in which they are asked for, each with the number its value must carry.
#[derive(Default, Clone)]
pub struct Queries {
    keys: Keys,
    ids: Vec<u32>,
}

impl Queries {
    fn push(&mut self, key: &[u8], id: u32) {
        self.keys.push(key);
        self.ids.push(id);
    }

    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u32)> + Clone {
        self.keys.iter().zip(self.ids.iter().copied())
    }

    pub fn get(&self, i: usize) -> (&[u8], u32) {
        (self.keys.get(i), self.ids[i])
    }
}

/// Values that know which key they belong to and which write made them.
///
/// Bytes 0..8 the number of the key, 8..12 the generation, 96..100 the number inverted, the rest
/// noise that does not compress.
pub struct Values {
    pool: Vec<u8>,
}

impl Values {
    const POOL: usize = 64 << 10;

    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x7661_6C75_6573);
        let words = (Self::POOL + VALUE_LEN).div_ceil(8);
        Self { pool: (0..words).flat_map(|_| rng.next().to_le_bytes()).collect() }
    }

    #[inline]
    pub fn make(&self, id: u32, generation: u32) -> [u8; VALUE_LEN] {
        let at = (id as usize).wrapping_mul(331) % Self::POOL;
        let mut value: [u8; VALUE_LEN] =
            self.pool[at..at + VALUE_LEN].try_into().expect("the pool is long enough");
        value[..8].copy_from_slice(&u64::from(id).to_le_bytes());
        value[8..12].copy_from_slice(&generation.to_le_bytes());
        value[VALUE_LEN - 4..].copy_from_slice(&(!id).to_le_bytes());
        value
    }

    /// The quick test of the timed loops: both ends of the value belong to `id`.
    #[inline]
    pub fn belongs(value: &[u8], id: u32) -> bool {
        value.len() == VALUE_LEN
            && value[..8] == u64::from(id).to_le_bytes()
            && value[VALUE_LEN - 4..] == (!id).to_le_bytes()
    }

    /// The number that a value carries.
    #[inline]
    pub fn id(value: &[u8]) -> u64 {
        value.first_chunk().map_or(u64::MAX, |bytes| u64::from_le_bytes(*bytes))
    }
}

/// A directory to list and what must come out: its child directories, in order.
pub struct Directory {
    /// With its trailing delimiter.
    pub prefix: Vec<u8>,
    pub children: usize,
    /// Bytes of all child prefixes together.
    pub child_bytes: usize,
    /// Keys directly in it.
    pub keys: usize,
    /// Keys at any depth below it.
    pub beneath: usize,
}

/// One data set: its keys in order, and what can be asked about them.
pub struct Family {
    pub name: &'static str,
    pub seed: u64,
    /// Sorted, without duplicates. The number of a key is its place here.
    pub sorted: Keys,
    /// Directories with exactly 100 child directories.
    pub hundreds: Vec<Directory>,
    /// The directory of about 50 child directories with the most keys beneath.
    pub fifty: Option<Directory>,
    /// The largest directories that hold keys only.
    pub flat: Vec<Directory>,
}

impl Family {
    fn new(name: &'static str, seed: u64, mut keys: Vec<Vec<u8>>) -> Self {
        keys.sort_unstable();
        keys.dedup();
        let sorted: Keys = keys.iter().collect();
        drop(keys);
        let mut directories = if name == "random32" { Vec::new() } else { directories(&sorted) };
        let fifty = directories
            .iter()
            .enumerate()
            .filter(|(_, d)| (45..=55).contains(&d.children) && d.keys == 0)
            .max_by_key(|(_, d)| (d.beneath, d.children))
            .map(|(i, _)| i)
            .map(|i| directories.swap_remove(i));
        let mut flat = Vec::new();
        let mut hundreds = Vec::new();
        for directory in directories {
            if directory.children == 0 && directory.keys >= 50 {
                flat.push(directory);
            } else if directory.children == 100 && directory.keys == 0 {
                hundreds.push(directory);
            }
        }
        flat.sort_by(|a, b| b.keys.cmp(&a.keys).then_with(|| a.prefix.cmp(&b.prefix)));
        flat.truncate(20);
        // Listed in an order that is not the order of the keys.
        hundreds.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        Rng::new(seed ^ 0x6869).shuffle(&mut hundreds);
        hundreds.truncate(200);
        Self { name, seed, sorted, hundreds, fifty, flat }
    }

    /// Object paths of about 68 bytes: tenants, buckets, dates, services, packages, shards, in
    /// directories of one to some thousand files.
    pub fn objects(n: usize, seed: u64) -> Self {
        let mut maker = Objects { rng: Rng::new(seed), seen: HashSet::with_capacity(n), n };
        maker.make();
        Self::new("objects", seed, maker.seen.into_iter().collect())
    }

    /// Keys of 32 random bytes: nothing to share.
    pub fn random32(n: usize, seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x3332);
        let keys =
            (0..n).map(|_| (0..4).flat_map(|_| rng.next().to_le_bytes()).collect::<Vec<u8>>()).collect();
        Self::new("random32", seed, keys)
    }

    /// The lines of a file; with a limit, a random choice of that many.
    pub fn from_file(path: &Path, limit: Option<usize>, seed: u64) -> io::Result<Self> {
        let file = io::BufReader::new(std::fs::File::open(path)?);
        let mut keys = Vec::new();
        for line in file.split(b'\n') {
            let mut line = line?;
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            if !line.is_empty() {
                keys.push(line);
            }
        }
        keys.sort_unstable();
        keys.dedup();
        if let Some(limit) = limit.filter(|&limit| limit < keys.len()) {
            Rng::new(seed ^ 0x7061_7468).shuffle(&mut keys);
            keys.truncate(limit);
        }
        Ok(Self::new("paths", seed, keys))
    }

    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Key and value bytes of all entries together.
    pub fn raw_bytes(&self) -> usize {
        self.sorted.total_bytes() + self.len() * VALUE_LEN
    }

    /// What one level below `prefix` holds, found by walking all keys beneath.
    pub fn children(&self, prefix: &[u8]) -> Vec<Vec<u8>> {
        let mut children: Vec<Vec<u8>> = Vec::new();
        for at in self.sorted.lower_bound(prefix)..self.len() {
            let key = self.sorted.get(at);
            let Some(rest) = key.strip_prefix(prefix) else {
                break;
            };
            let end =
                rest.iter().position(|&byte| byte == b'/').map_or(key.len(), |at| prefix.len() + at + 1);
            if children.last().is_none_or(|last| *last != key[..end]) {
                children.push(key[..end].to_vec());
            }
        }
        children
    }

    /// Every key once, in random order.
    pub fn shuffled(&self) -> Queries {
        let mut order: Vec<u32> = (0..self.len() as u32).collect();
        Rng::new(self.seed ^ 0x7368).shuffle(&mut order);
        self.gather(order)
    }

    /// Every key once, in key order.
    pub fn ordered(&self) -> Queries {
        self.gather(0..self.len() as u32)
    }

    /// `m` keys, uniform, with repetitions.
    pub fn uniform(&self, m: usize, salt: u64) -> Queries {
        let mut rng = Rng::new(self.seed ^ salt ^ 0x756E_6966);
        self.gather((0..m).map(|_| rng.below(self.len()) as u32))
    }

    fn gather(&self, ids: impl IntoIterator<Item = u32>) -> Queries {
        let mut queries = Queries::default();
        for id in ids {
            queries.push(self.sorted.get(id as usize), id);
        }
        queries
    }

    /// `m` keys that are not there, each an existing path with one byte of its last component
    /// changed, without repetitions. Their numbers follow those of the existing keys.
    pub fn near_misses(&self, m: usize, salt: u64) -> Queries {
        const BYTES: &[u8] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        let mut rng = Rng::new(self.seed ^ salt ^ 0x6D69_7373);
        let mut seen = HashSet::with_capacity(m);
        let mut queries = Queries::default();
        while queries.len() < m {
            let mut key = self.sorted.get(rng.below(self.len())).to_vec();
            let start = key.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
            if start == key.len() {
                key.push(b'-');
            }
            let at = rng.between(start, key.len() - 1);
            key[at] = *rng.pick(BYTES);
            if !self.sorted.holds(&key) && !seen.contains(&key) {
                queries.push(&key, (self.len() + queries.len()) as u32);
                seen.insert(key);
            }
        }
        queries
    }
}

/// Every directory of a sorted set of paths.
fn directories(sorted: &Keys) -> Vec<Directory> {
    let mut found: BTreeMap<&[u8], Directory> = BTreeMap::new();
    for key in sorted.iter() {
        let mut end = key.len();
        let mut fresh: Option<usize> = None;
        let mut deepest = true;
        while let Some(slash) = key[..end].iter().rposition(|&byte| byte == b'/') {
            let prefix = &key[..=slash];
            let mut new = false;
            let directory = found.entry(prefix).or_insert_with(|| {
                new = true;
                Directory { prefix: prefix.to_vec(), children: 0, child_bytes: 0, keys: 0, beneath: 0 }
            });
            directory.beneath += 1;
            directory.keys += usize::from(deepest);
            deepest = false;
            if let Some(child) = fresh.take() {
                directory.children += 1;
                directory.child_bytes += child;
            }
            if new {
                fresh = Some(prefix.len());
            }
            end = slash;
        }
    }
    found.into_values().collect()
}

struct Objects {
    rng: Rng,
    seen: HashSet<Vec<u8>>,
    n: usize,
}

const TENANTS: [&str; 24] = [
    "acme",
    "globex",
    "initech",
    "umbrella-health",
    "northwind",
    "contoso",
    "stark-robotics",
    "wayne-logistics",
    "hooli",
    "tyrell",
    "cyberdyne",
    "aperture",
    "blue-sun",
    "massive-dynamic",
    "soylent",
    "vandelay-imports",
    "wonka",
    "oscorp",
    "gringotts",
    "monarch",
    "duff",
    "sirius",
    "weyland",
    "zorin",
];
const BUCKETS: [&str; 12] = [
    "media-prod",
    "backups",
    "raw-events",
    "ml-training",
    "reports",
    "invoices",
    "telemetry-eu",
    "customer-docs",
    "exports",
    "images",
    "archive-cold",
    "staging",
];
const SERVICES: [&str; 28] = [
    "checkout",
    "search",
    "billing",
    "auth",
    "ingest-gateway",
    "recommender",
    "notifier",
    "ledger",
    "crawler",
    "thumbnails",
    "transcoder",
    "session-store",
    "inventory",
    "pricing",
    "fraud-scoring",
    "mailer",
    "api-edge",
    "scheduler",
    "warehouse-sync",
    "geo",
    "profile",
    "payments",
    "audit",
    "feature-flags",
    "webhooks",
    "image-resize",
    "orders",
    "support-desk",
];
const ZONES: [&str; 6] = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1", "sa-east-1"];
const NOUNS: [&str; 40] = [
    "access",
    "report",
    "invoice",
    "snapshot",
    "frame",
    "upload",
    "statement",
    "trace",
    "metrics",
    "order",
    "photo",
    "scan",
    "receipt",
    "shipment",
    "contract",
    "draft",
    "thumbnail",
    "clip",
    "segment",
    "chunk",
    "delta",
    "summary",
    "ticket",
    "avatar",
    "label",
    "events",
    "profile",
    "manifest",
    "index",
    "backup",
    "page",
    "record",
    "export",
    "model",
    "batch",
    "queue",
    "session",
    "audit",
    "sample",
    "note",
];
const EXTENSIONS: [&str; 14] = [
    "jpg", "json", "parquet", "log.gz", "pdf", "png", "csv", "mp4", "txt", "avro", "tar.zst", "xml", "webp",
    "md",
];
const PACKAGES: [&str; 16] = [
    "libcore",
    "http-client",
    "vector-tiles",
    "proto-gen",
    "ui-kit",
    "scheduler-agent",
    "telemetry",
    "ledger-sdk",
    "image-codec",
    "router",
    "auth-proxy",
    "kv-driver",
    "report-engine",
    "cli",
    "edge",
    "mesh",
];
const PLATFORMS: [&str; 6] = ["linux-amd64", "linux-arm64", "darwin-arm64", "windows-amd64", "src", "wasm32"];

impl Objects {
    fn make(&mut self) {
        // 50 directories that share a quarter of all keys: what listing without skipping would walk.
        if self.n >= 2_000 {
            self.topics(50, self.n / 250);
            // Directories with exactly 100 child directories of a few keys each.
            for k in 0..(self.n / 10_000).clamp(2, 100) {
                self.shards(k);
            }
        }
        while self.seen.len() < self.n {
            let tenant = *self.rng.pick_skewed(&TENANTS);
            let bucket = *self.rng.pick_skewed(&BUCKETS);
            let files = self.directory_size();
            match self.rng.below(10) {
                0..=5 => self.dated(tenant, bucket, files),
                6..=7 => self.albums(tenant, bucket, files),
                8 => self.packages(tenant),
                _ => self.inbox(tenant, bucket, files),
            }
        }
    }

    fn add(&mut self, key: String) {
        if self.seen.len() < self.n {
            self.seen.insert(key.into_bytes());
        }
    }

    /// Mostly small directories, some of hundreds, few of thousands.
    fn directory_size(&mut self) -> usize {
        let most = (self.n / 200).max(8);
        let size = match self.rng.below(100) {
            0..=39 => self.rng.between(1, 8),
            40..=79 => self.rng.between(9, 64),
            80..=95 => self.rng.between(65, 300),
            _ => self.rng.between(301, 3000),
        };
        size.min(most)
    }

    fn date(&mut self) -> (usize, usize, usize) {
        (2021 + self.rng.below(6), 1 + self.rng.below(12), 1 + self.rng.below(28))
    }

    fn hex(&mut self, digits: usize) -> String {
        let mut text = format!("{:016x}", self.rng.next());
        text.truncate(digits);
        text
    }

    /// tenant/bucket/year/month/day/service/zone/name-XXXX.ext
    fn dated(&mut self, tenant: &str, bucket: &str, files: usize) {
        let (year, month, day) = self.date();
        let service = *self.rng.pick(&SERVICES);
        let zone = *self.rng.pick(&ZONES);
        let noun = *self.rng.pick(&NOUNS);
        let extension = *self.rng.pick(&EXTENSIONS);
        let folder = format!("{tenant}/{bucket}/{year}/{month:02}/{day:02}/{service}/{zone}");
        let counted = self.rng.below(2) == 0;
        let mut number = self.rng.below(5000);
        for _ in 0..files {
            number += self.rng.between(1, 3);
            let tail = if counted { format!("{number:05}") } else { self.hex(7) };
            self.add(format!("{folder}/{noun}-{tail}.{extension}"));
        }
    }

    /// tenant/bucket/users/u-ID/YEAR-NAME/IMG_NNNN.ext
    fn albums(&mut self, tenant: &str, bucket: &str, files: usize) {
        let user = self.rng.below(self.n / 20 + 10);
        let year = 2015 + self.rng.below(12);
        let (first, second) = (*self.rng.pick(&NOUNS), *self.rng.pick(&SERVICES));
        let extension = *self.rng.pick(&["jpg", "heic", "mp4", "png"]);
        let folder = format!("{tenant}/{bucket}/users/u-{user:06}/{year}-{first}-{second}");
        let mut number = self.rng.below(9000);
        for _ in 0..files {
            number += self.rng.between(1, 4);
            self.add(format!("{folder}/IMG_{number:05}.{extension}"));
        }
    }

    /// tenant/artifacts/NAME/VERSION/NAME-VERSION-PLATFORM.ext
    fn packages(&mut self, tenant: &str) {
        let name = *self.rng.pick(&PACKAGES);
        let major = self.rng.below(9);
        for minor in 0..self.rng.between(1, 12) {
            let version = format!("{major}.{minor}.{}", self.rng.below(40));
            for platform in PLATFORMS {
                for extension in ["tar.gz", "sha256"] {
                    self.add(format!(
                        "{tenant}/artifacts/{name}/{version}/{name}-{version}-{platform}.{extension}"
                    ));
                }
            }
        }
    }

    /// tenant/bucket/inbox/DATE/UUID.ext
    fn inbox(&mut self, tenant: &str, bucket: &str, files: usize) {
        let (year, month, day) = self.date();
        let extension = *self.rng.pick(&EXTENSIONS);
        for _ in 0..files {
            let (a, b, c) = (self.hex(8), self.hex(4), self.hex(12));
            self.add(format!("{tenant}/{bucket}/inbox/{year}-{month:02}-{day:02}/{a}-{b}-{c}.{extension}"));
        }
    }

    fn topics(&mut self, topics: usize, each: usize) {
        for topic in 0..topics {
            let service = SERVICES[topic % SERVICES.len()];
            let folder = format!("acme/lake/events/{service}-{topic:02}");
            let mut left = each;
            while left > 0 {
                let (year, month, day) = self.date();
                for part in 0..self.rng.between(1, 40).min(left) {
                    let tag = self.hex(8);
                    self.add(format!("{folder}/{year}/{month:02}/{day:02}/part-{part:04}-{tag}.parquet"));
                    left -= 1;
                }
            }
        }
    }

    fn shards(&mut self, k: usize) {
        let tenant = TENANTS[k % TENANTS.len()];
        let bucket = BUCKETS[k / TENANTS.len() % BUCKETS.len()];
        let noun = NOUNS[k % NOUNS.len()];
        for shard in 0..100 {
            for _ in 0..self.rng.between(1, 6) {
                let tag = self.hex(16);
                self.add(format!("{tenant}/{bucket}/cache/{noun}-{k:03}/{shard:02}/{tag}.bin"));
            }
        }
    }
}
