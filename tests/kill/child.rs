//! What a child does until it is killed: writers on some threads, checkpoints, and a close at the end.
//!
//! The numbers of a thread's writes decide all about them, so that the parent can tell what there must be.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use spinney::{Db, Durability, Options, Result, Tree};

use crate::notes::Notes;

pub const TREE: &str = "files";
const OWN_KEYS: u64 = 150;
const SHARED_KEYS: u64 = 40;

/// What a write of a thread is about.
pub enum Write {
    Put(String),
    Remove(String),
    /// A key that all threads write.
    Shared(String),
}

pub fn write(thread: u64, number: u64) -> Write {
    let key = format!("thread-{thread:02}/part-{}/{}", number % 3, number * 7 % OWN_KEYS);
    match number % 10 {
        3 => Write::Shared(shared_key(number * 31 + thread)),
        7 => Write::Remove(format!("thread-{thread:02}/part-{}/{}", number % 3, number * 11 % OWN_KEYS)),
        _ => Write::Put(key),
    }
}

pub fn shared_key(number: u64) -> String {
    format!("shared/{:03}", number % SHARED_KEYS)
}

pub fn value(thread: u64, number: u64) -> String {
    let text = format!("thread {thread} write {number} ");
    text.repeat(1 + (number * 13 % 60) as usize)
}

/// The keys of a thread after all its writes before `done`: the numbers of the writes that they have their
/// values from.
#[derive(Clone, Default)]
pub struct Own {
    pub keys: BTreeMap<String, u64>,
    /// How many of the writes had an effect, and so a version.
    pub versions: u64,
}

impl Own {
    pub fn apply(&mut self, thread: u64, number: u64) {
        let had_effect = match write(thread, number) {
            Write::Put(key) => {
                self.keys.insert(key, number);
                true
            }
            Write::Remove(key) => self.keys.remove(&key).is_some(),
            Write::Shared(_) => true,
        };
        self.versions += u64::from(had_effect);
    }

    pub fn is_in(&self, tree: &Tree, thread: u64) -> Result<bool> {
        let mut found = tree.scan(format!("thread-{thread:02}/"));
        for (key, &number) in &self.keys {
            match found.next().transpose()? {
                Some((found, bytes))
                    if found == key.as_bytes() && *bytes == *value(thread, number).as_bytes() => {}
                _ => return Ok(false),
            }
        }
        Ok(found.next().is_none())
    }
}

/// How a child is to work.
#[derive(Clone)]
pub struct Job {
    pub path: PathBuf,
    pub notes: PathBuf,
    pub threads: u64,
    pub is_sync: bool,
    pub checkpoints: bool,
    pub run: Duration,
    /// The number of the first write of each thread.
    pub first: Vec<u64>,
}

const VARIABLE: &str = "SPINNEY_KILL_JOB";

impl Job {
    pub fn to_environment(&self) -> (&'static str, String) {
        let first: Vec<String> = self.first.iter().map(u64::to_string).collect();
        let (path, notes) = (self.path.to_str().unwrap(), self.notes.to_str().unwrap());
        let numbers = format!(
            "{}|{}|{}|{}|{}",
            self.threads,
            u8::from(self.is_sync),
            u8::from(self.checkpoints),
            self.run.as_millis(),
            first.join(",")
        );
        (VARIABLE, format!("{path}|{notes}|{numbers}"))
    }

    /// The job of this process, if it is a child.
    pub fn from_environment() -> Option<Job> {
        let text = std::env::var(VARIABLE).ok()?;
        let parts: Vec<&str> = text.split('|').collect();
        let number = |at: usize| parts[at].parse::<u64>().unwrap();
        Some(Job {
            path: Path::new(parts[0]).into(),
            notes: Path::new(parts[1]).into(),
            threads: number(2),
            is_sync: number(3) != 0,
            checkpoints: number(4) != 0,
            run: Duration::from_millis(number(5)),
            first: parts[6].split(',').map(|first| first.parse().unwrap()).collect(),
        })
    }

    pub fn options(&self) -> Options {
        let durability = if self.is_sync { Durability::Sync } else { Durability::Buffered };
        Db::builder().durability(durability).log_bytes(8 << 20).cache_bytes(8 << 20)
    }

    pub fn work(&self) {
        let notes = Notes::open(&self.notes, self.threads);
        let db = self.options().open(&self.path).unwrap();
        notes.set_open();
        let tree = db.tree(TREE).unwrap();
        let (started, stop) = (Instant::now(), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for thread in 0..self.threads {
                let (notes, tree, stop) = (&notes, &tree, &stop);
                let first = self.first[thread as usize];
                scope.spawn(move || {
                    for nth in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        notes.begin(thread, nth);
                        let version = one_write(tree, thread, first + nth).unwrap();
                        notes.acknowledge(thread, nth, version);
                    }
                });
            }
            while started.elapsed() < self.run {
                if self.checkpoints {
                    db.checkpoint().unwrap();
                }
                std::thread::sleep(Duration::from_millis(3));
            }
            stop.store(true, Ordering::Relaxed);
        });
        drop(tree);
        notes.set_closing();
        db.close().unwrap();
    }
}

/// Says which version it got; 0 for a removal, which tells none.
fn one_write(tree: &Tree, thread: u64, number: u64) -> Result<u64> {
    match write(thread, number) {
        Write::Put(key) | Write::Shared(key) => Ok(tree.put(key, value(thread, number))?.number()),
        Write::Remove(key) => tree.remove(key).map(|_| 0),
    }
}
