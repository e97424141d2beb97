//! One workload from one seed, which must give the same bytes on every platform and backend.
//!
//! Shared by `tests/identity.rs` (native) and `tests/wasm.rs`. It uses integers alone and no hash maps, so
//! what differs between two runs comes from the engine. It puts, overwrites with other lengths, removes and
//! renames in several trees, and is made so that blobs are split, cut, shared, joined and compacted.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use spinney::{Db, Stats, Tree};

/// The FNV-1a hash of the image. The only place where it is written down.
pub const IMAGE_HASH: u64 = 0x4cab_5035_f401_2f8c;

const SEED: u64 = 0x5350_494E_4E45_5901;

/// What all trees hold, as a plain map: tree, key, value.
pub type Model = BTreeMap<(usize, Vec<u8>), Vec<u8>>;

const TREES: [&str; 4] = ["files", "users", "log", "thumbnails"];
const LOG: usize = 2;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn key(&mut self) -> Vec<u8> {
        let (tenant, year, month) = (self.below(40), 2020 + self.below(7), 1 + self.below(12));
        let name = self.below(600);
        let folder = ["photos", "documents", "backup/daily", "b"][self.below(4) as usize];
        let mut key = format!("tenant-{tenant:03}/{folder}/{year}/{month:02}/object-{name:04}").into_bytes();
        if self.below(50) == 0 {
            key.extend_from_slice(&self.next().to_le_bytes());
        }
        key
    }

    fn value(&mut self) -> Vec<u8> {
        let length = match self.below(100) {
            0..5 => 0,
            5..70 => self.below(120),
            70..98 => 100 + self.below(900),
            _ => self.below(9000),
        };
        let first = self.next();
        (0..length).map(|i| (first >> (i % 8 * 8)) as u8 ^ i as u8).collect()
    }
}

/// Runs and keeps the plain map alongside.
struct Run {
    random: Random,
    trees: Vec<Tree>,
    model: Model,
    logged: u64,
}

impl Run {
    fn put(&mut self, tree: usize, key: Vec<u8>, value: Vec<u8>) {
        self.trees[tree].put(&key, &value).expect("put");
        self.model.insert((tree, key), value);
    }

    fn remove(&mut self, tree: usize, key: Vec<u8>) {
        let removed = self.trees[tree].remove(&key).expect("remove");
        let expected = self.model.remove(&(tree, key));
        assert_eq!(removed.is_some(), expected.is_some());
    }

    /// A key that is there, near a random one.
    fn present(&mut self, tree: usize) -> Option<Vec<u8>> {
        let near = (tree, self.random.key());
        let mut above = self.model.range(near..);
        let ((found, key), _) = above.next()?;
        (*found == tree).then(|| key.clone())
    }

    fn append(&mut self) {
        self.logged += 1 + self.random.below(3);
        let key = format!("{:012}/event", self.logged).into_bytes();
        let value = self.random.value();
        self.put(LOG, key, value);
    }

    fn rename(&mut self, tree: usize) {
        let Some(from) = self.present(tree) else {
            return;
        };
        let to = self.random.key();
        if self.model.contains_key(&(tree, to.clone())) {
            return;
        }
        let renamed = self.trees[tree].rename(&from, &to).expect("rename");
        assert!(renamed.is_some());
        let value = self.model.remove(&(tree, from)).expect("is present");
        self.model.insert((tree, to), value);
    }

    /// `puts` and so on in hundredths; the rest overwrites.
    fn phase(&mut self, operations: u32, puts: u64, removes: u64, renames: u64) {
        for _ in 0..operations {
            let tree = [0, 0, 0, 1, 3][self.random.below(5) as usize];
            let roll = self.random.below(100);
            if roll < puts {
                let (key, value) = (self.random.key(), self.random.value());
                self.put(tree, key, value);
            } else if roll < puts + removes {
                if let Some(key) = self.present(tree) {
                    self.remove(tree, key);
                }
            } else if roll < puts + removes + renames {
                self.rename(tree);
            } else if let Some(key) = self.present(tree) {
                let value = self.random.value();
                self.put(tree, key, value);
            }
            if self.random.below(5) == 0 {
                self.append();
            }
        }
    }

    /// Moves a directory of a tenant to another tenant; or removes it, if there is something.
    fn graft(&mut self, tree: usize) {
        let folder = |random: &mut Random| {
            let folder = ["photos", "documents", "backup/daily", "b"][random.below(4) as usize];
            format!("tenant-{:03}/{folder}/", random.below(40)).into_bytes()
        };
        let (from, mut to) = (folder(&mut self.random), folder(&mut self.random));
        to.extend_from_slice(format!("moved-{}/", self.random.below(1_000)).as_bytes());
        let above = self.model.range((tree, from.clone())..);
        let keys = above.take_while(|((found, key), _)| *found == tree && key.starts_with(&from));
        let keys: Vec<Vec<u8>> = keys.map(|((_, key), _)| key.clone()).collect();
        let is_removed = self.random.below(4) == 0;
        let to = (!is_removed && !to.starts_with(&from)).then_some(to);
        let done = match &to {
            Some(to) => self.trees[tree].rename_prefix(&from, to).expect("rename_prefix"),
            None => self.trees[tree].remove_prefix(&from).expect("remove_prefix"),
        };
        assert_eq!(done.is_some(), !keys.is_empty());
        for key in keys {
            let value = self.model.remove(&(tree, key.clone())).expect("is present");
            if let Some(to) = &to {
                self.model.insert((tree, [to, &key[from.len()..]].concat()), value);
            }
        }
    }

    /// Removes all keys of one tenant in one tree, and of the log up to some point.
    fn sweep(&mut self, tree: usize, tenant: u64) {
        let prefix = format!("tenant-{tenant:03}/").into_bytes();
        let from = (tree, prefix.clone());
        let keys: Vec<Vec<u8>> = self
            .model
            .range(from..)
            .take_while(|((found, key), _)| *found == tree && key.starts_with(&prefix))
            .map(|((_, key), _)| key.clone())
            .collect();
        for key in keys {
            self.remove(tree, key);
        }
    }
}

/// Runs the workload on an empty database. Some 60,000 operations.
pub fn run(db: &Db) -> Model {
    let trees = TREES.map(|name| db.tree(name).expect("tree")).to_vec();
    let mut run = Run { random: Random(SEED), trees, model: Model::new(), logged: 0 };
    run.phase(22_000, 80, 5, 2);
    run.phase(15_000, 5, 12, 8);
    for tenant in 5..30 {
        run.sweep(0, tenant);
    }
    for step in 0..60 {
        run.graft([0, 1, 3][step % 3]);
        run.phase(100, 60, 10, 5);
    }
    run.phase(2_000, 60, 10, 5);
    assert!(db.drop_tree(TREES[3]).expect("drop_tree"));
    run.model.retain(|(tree, _), _| *tree != 3);
    run.trees[3] = db.tree(TREES[3]).expect("tree");
    run.phase(5_000, 20, 40, 5);
    run.model
}

/// All that makes the workload worth its name has happened.
pub fn assert_eventful(stats: &Stats) {
    let counts = [
        ("splits", stats.splits),
        ("ascending cuts", stats.ascending_cuts),
        ("shares", stats.shares),
        ("joins", stats.joins),
        ("compactions", stats.compactions),
        ("grafts", stats.grafts),
    ];
    for (name, count) in counts {
        assert!(count > 0, "the workload has no {name}: {stats:?}");
    }
}

/// The database holds what the model holds.
pub fn assert_same(db: &Db, model: &Model) {
    let mut expected = model.iter();
    for (tree, name) in TREES.iter().enumerate() {
        let mut scan = db.tree(name).expect("tree").scan("");
        while let Some(entry) = scan.next_ref().expect("scan") {
            let ((in_tree, key), value) = expected.next().expect("no more keys are expected");
            assert_eq!((*in_tree, &key[..], &value[..]), (tree, entry.key(), entry.value()));
        }
    }
    assert!(expected.next().is_none(), "a key is missing");
}

/// The bytes are those of every other platform.
pub fn assert_identical(image: &[u8]) {
    let hash = fnv1a(image);
    assert!(
        hash == IMAGE_HASH,
        "the image of the workload has the hash {hash:#018x} here, and {IMAGE_HASH:#018x} is written down in \
         tests/workload/mod.rs. If this fails on every platform with one and the same hash, the format or an \
         algorithm that shapes blobs has changed: if that was meant, put the new hash there. If it fails on \
         some platforms only, they differ: that is a bug."
    );
}

fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3);
    bytes.iter().fold(0xCBF2_9CE4_8422_2325, step)
}
