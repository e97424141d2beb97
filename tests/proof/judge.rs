//! What a crash has left is opened, read, checked, written to, closed and opened again. Storage that was
//! there before is not judged twice.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use spinney::backend::sim::{Disk, FaultBackend};
use spinney::{Db, Durability, ListRef};

use crate::operations::hash;
use crate::session::{TREE, options};

/// The numbers of the lives that come after those of a session.
pub const RECOVERY: u64 = 1000;
const VERDICT: u64 = 2000;

/// Why what is there is not sound.
#[derive(Clone, Debug)]
pub struct Flaw {
    /// Whether the library says so itself, by an error or in a report; else it has given a wrong answer.
    pub is_told: bool,
    pub text: String,
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.is_told { "" } else { "WRONG: " }, self.text)
    }
}

fn told(error: spinney::Error) -> Flaw {
    Flaw { is_told: true, text: format!("{}: {error}", error.code()) }
}

fn wrong<T>(text: &str) -> Result<T, Flaw> {
    Err(Flaw { is_told: false, text: text.into() })
}

/// What was judged, and what was found there.
#[derive(Default)]
pub struct Judge {
    found: Mutex<HashMap<(u64, bool), Result<u64, Flaw>>>,
    /// Ends of crashes, the same storage counted each time.
    pub ends: AtomicU64,
    /// Crashes inside of a recovery among them.
    pub inside: AtomicU64,
}

/// A number for everything in the tree; that of nothing if the tree is not there.
pub fn contents(db: &Db) -> Result<u64, Flaw> {
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
        return wrong("the count is another");
    }
    Ok(hash(entries.iter().map(|(key, value)| (&key[..], &value[..]))))
}

/// The same, and everything else that can be asked agrees with it: from behind, key by key, and by directory.
pub fn contents_every_way(db: &Db) -> Result<u64, Flaw> {
    let found = contents(db)?;
    if !db.trees().map_err(told)?.iter().any(|name| name == TREE) {
        return Ok(found);
    }
    let tree = db.tree(TREE).map_err(told)?;
    let mut entries = Vec::new();
    for entry in tree.scan("").rev() {
        let (key, value) = entry.map_err(told)?;
        if tree.get(&key).map_err(told)?.as_deref() != Some(&value[..]) {
            return wrong("a key has another value than the scan says");
        }
        entries.push((key, value));
    }
    entries.reverse();
    if hash(entries.iter().map(|(key, value)| (&key[..], &value[..]))) != found {
        return wrong("from behind it is something else");
    }
    let mut children: Vec<Vec<u8>> = Vec::new();
    for (key, _) in &entries {
        let end = key.iter().position(|&byte| byte == b'/').map_or(key.len(), |at| at + 1);
        children.push(key[..end].to_vec());
    }
    children.dedup();
    let mut listed = Vec::new();
    let mut list = tree.list("");
    while let Some(child) = list.next_ref().map_err(told)? {
        let (ListRef::Key { key: child, .. } | ListRef::Prefix(child)) = child;
        listed.push(child.to_vec());
    }
    if listed == children { Ok(found) } else { wrong("the listing is another") }
}

fn open(disk: &std::sync::Arc<FaultBackend>, keeps_changes: bool, life: u64) -> Result<Db, Flaw> {
    options(keeps_changes, life).open_backend(disk.clone()).map_err(told)
}

/// The database finds nothing wrong with itself.
pub fn check(db: &Db) -> Result<(), Flaw> {
    let report = db.check().map_err(told)?;
    if report.is_clean() { Ok(()) } else { Err(Flaw { is_told: true, text: format!("{report:?}") }) }
}

/// Everything that is asked of what a crash has left; a number for what is in it.
fn judge(left: &Disk, keeps_changes: bool) -> Result<u64, Flaw> {
    let disk = FaultBackend::with_disk(3, left.clone());
    disk.forget();
    let mut seen = None;
    // Not always: it takes a quarter of the time.
    if left.storage().hash().is_multiple_of(4) {
        let reader = options(keeps_changes, VERDICT).read_only(true).open_backend(disk.clone());
        // What was never a database is none for readers either.
        seen = reader.map_or(Ok(None), |reader| contents(&reader).map(Some))?;
        if disk.storage() != *left.storage() {
            return wrong("a reader has changed something");
        }
    }
    let db = open(&disk, keeps_changes, VERDICT)?;
    let found = contents(&db)?;
    if seen.is_some_and(|seen| seen != found) {
        return wrong("a reader has seen something else");
    }
    check(&db)?;
    // And it goes on.
    let tree = db.tree(TREE).map_err(told)?.with_durability(Durability::Buffered);
    tree.put("~probe", "1").map_err(told)?;
    let with_probe = contents(&db)?;
    drop(tree);
    db.close().map_err(told)?;
    let db = open(&disk, keeps_changes, VERDICT + 1)?;
    if contents(&db)? != with_probe {
        return wrong("closed and opened again it is not the same");
    }
    check(&db)?;
    db.tree(TREE).map_err(told)?.remove("~probe").map_err(told)?;
    if contents(&db)? != found {
        return wrong("without what was written it is not what it was");
    }
    disk.crash();
    Ok(found)
}

impl Judge {
    /// What is in this storage after a recovery, or why it is not sound.
    pub fn verdict(&self, left: &Disk, keeps_changes: bool) -> Result<u64, Flaw> {
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
