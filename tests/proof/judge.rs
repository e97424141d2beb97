//! What a crash has left is opened, read, checked, written to, closed and opened again. Storage that was there
//! before is not judged twice.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use spinney::backend::sim::{Disk, FaultBackend};
use spinney::{Db, Durability};

use crate::operations::hash;
use crate::session::{TREE, options};

/// The numbers of the lives that come after those of a session.
pub const RECOVERY: u64 = 1000;
const VERDICT: u64 = 2000;

/// What was judged, and what was found there.
#[derive(Default)]
pub struct Judge {
    found: Mutex<HashMap<(u64, bool), Result<u64, String>>>,
    /// Ends of crashes, the same storage counted each time.
    pub ends: AtomicU64,
    /// Crashes inside of a recovery among them.
    pub inside: AtomicU64,
}

/// A number for everything in the tree; that of nothing if the tree is not there.
pub fn contents(db: &Db) -> Result<u64, String> {
    let told = |error: spinney::Error| error.to_string();
    if !db.trees().map_err(told)?.iter().any(|name| name == TREE) {
        return Ok(hash(std::iter::empty()));
    }
    let mut entries = Vec::new();
    let tree = db.tree(TREE).map_err(told)?;
    let mut scan = tree.scan("");
    while let Some(entry) = scan.next_ref().map_err(told)? {
        entries.push((entry.key().to_vec(), entry.value().to_vec()));
    }
    if tree.count("").map_err(told)? != entries.len() as u64 {
        return Err("the count is another".into());
    }
    Ok(hash(entries.iter().map(|(key, value)| (&key[..], &value[..]))))
}

fn open(disk: &std::sync::Arc<FaultBackend>, keeps_changes: bool, life: u64) -> Result<Db, String> {
    options(keeps_changes, life).open_backend(disk.clone()).map_err(|error| format!("opening: {error}"))
}

fn check(db: &Db) -> Result<(), String> {
    let report = db.check().map_err(|error| error.to_string())?;
    if report.is_clean() { Ok(()) } else { Err(format!("{report:?}")) }
}

/// Everything that is asked of what a crash has left; a number for what is in it.
fn judge(left: &Disk, keeps_changes: bool) -> Result<u64, String> {
    let disk = FaultBackend::with_disk(3, left.clone());
    disk.forget();
    let mut seen = None;
    // Not always: it takes a quarter of the time.
    if left.storage().hash() % 4 == 0 {
        let reader = options(keeps_changes, VERDICT).read_only(true).open_backend(disk.clone());
        // What was never a database is none for readers either.
        seen = reader.map_or(Ok(None), |reader| contents(&reader).map(Some))?;
        if disk.storage() != *left.storage() {
            return Err("a reader has changed something".into());
        }
    }
    let db = open(&disk, keeps_changes, VERDICT)?;
    let found = contents(&db)?;
    if seen.is_some_and(|seen| seen != found) {
        return Err("a reader has seen something else".into());
    }
    check(&db)?;
    // And it goes on.
    let told = |error: spinney::Error| format!("going on: {error}");
    let tree = db.tree(TREE).map_err(told)?.with_durability(Durability::Buffered);
    tree.put("~probe", "1").map_err(told)?;
    let with_probe = contents(&db)?;
    drop(tree);
    db.close().map_err(told)?;
    let db = open(&disk, keeps_changes, VERDICT + 1)?;
    if contents(&db)? != with_probe {
        return Err("closed and opened again it is not the same".into());
    }
    check(&db)?;
    db.tree(TREE).map_err(told)?.remove("~probe").map_err(told)?;
    if contents(&db)? != found {
        return Err("without what was written it is not what it was".into());
    }
    disk.crash();
    Ok(found)
}

impl Judge {
    /// What is in this storage after a recovery, or why it is not sound.
    pub fn verdict(&self, left: &Disk, keeps_changes: bool) -> Result<u64, String> {
        self.ends.fetch_add(1, Ordering::Relaxed);
        let key = (left.storage().hash(), keeps_changes);
        let found = self.found.lock().expect("no panic").get(&key).cloned();
        found.unwrap_or_else(|| {
            let verdict = judge(left, keeps_changes);
            self.found.lock().expect("no panic").insert(key, verdict.clone());
            verdict
        })
    }

    /// How many different ones there were.
    pub fn distinct(&self) -> usize {
        self.found.lock().expect("no panic").len()
    }
}
