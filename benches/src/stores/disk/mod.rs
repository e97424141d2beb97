//! The stores that keep their data in files, each behind the same small face.
//!
//! How an acknowledged put is kept is chosen when a store is opened, because not every store can choose it
//! put by put. Reads and writes go through a `Session`, one a thread: some stores have connections. A new
//! store is one more file here, one more line in [`visit_all`] and, as its dependencies are heavy, a feature.

#[cfg(feature = "fjall")]
mod fjall;
mod holt;
#[cfg(feature = "lmdb")]
mod lmdb;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(feature = "spinney")]
mod spinney;
#[cfg(feature = "sqlite")]
mod sqlite;

use super::{Child, DELIMITER, Result, chosen};
use crate::options::Options;
use std::path::Path;

/// What an acknowledged put has behind it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ack {
    /// It is on stable storage: flushed by fsync, fdatasync or what does the same.
    Synced,
    /// What the store gives without a flush for each put.
    Buffered,
}

/// How a store is opened.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    /// A directory of its own, which is there.
    pub dir: &'a Path,
    pub ack: Ack,
    /// The store's own cache, where it has one.
    pub cache_bytes: usize,
    /// How much may wait in a log, or in tables in memory, where the store has such a thing.
    pub log_bytes: usize,
    /// Sessions at once, at most.
    pub sessions: usize,
    /// It is opened to be loaded; what it would do in the background can wait for the checkpoint.
    pub bulk: bool,
}

/// A store. Whatever it answers is verified by the caller.
pub trait DiskStore: Sized + Send + Sync + 'static {
    const NAME: &'static str;
    /// How it does [`Ack::Synced`] and [`Ack::Buffered`], for people.
    const ACKS: [&'static str; 2];

    /// What one thread reads and writes with.
    type Session<'a>: Session
    where
        Self: 'a;

    /// Opens what is in the directory, or begins there.
    fn open(setup: &Setup<'_>) -> Result<Self>;

    fn session(&self) -> Result<Self::Session<'_>>;

    /// Puts many entries in the given order, in the way the store likes best; durable after a `checkpoint`.
    fn load<'k, V: AsRef<[u8]>>(&self, entries: impl Iterator<Item = (&'k [u8], V)>) -> Result<()> {
        let mut session = self.session()?;
        for (key, value) in entries {
            session.put(key, value.as_ref())?;
        }
        Ok(())
    }

    /// Everything acknowledged so far is on stable storage.
    fn sync(&self) -> Result<()>;

    /// Moves what is only in the log, or only in memory, to where it is read from, durably.
    fn checkpoint(&self) -> Result<()>;

    fn close(self) -> Result<()>;
}

/// What one thread reads and writes with.
pub trait Session {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
    fn get<R>(&mut self, key: &[u8], see: impl FnOnce(&[u8]) -> R) -> Result<Option<R>>;

    /// The values of those keys that are there, with the places of the keys, in any order. A store that knows
    /// many keys at once is asked in that way.
    fn get_many(&mut self, keys: &[&[u8]], see: &mut dyn FnMut(usize, &[u8])) -> Result<()> {
        for (place, key) in keys.iter().enumerate() {
            self.get(key, |value| see(place, value))?;
        }
        Ok(())
    }

    /// From now on this session only reads, and need not see what is written meanwhile: a store that reads in
    /// transactions keeps one.
    fn hold(&mut self) -> Result<()> {
        Ok(())
    }

    /// One level below `prefix`.
    fn list(&mut self, prefix: &[u8], see: &mut dyn FnMut(Child<'_>)) -> Result<()>;
    /// How many entries there are, counted by walking over them.
    fn count(&mut self) -> Result<usize>;
}

/// What a walk over keys calls for each of them; whether it goes on.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
type Visit<'a> = dyn FnMut(&[u8]) -> bool + 'a;

/// Lists one level with a store that can only walk: `walk` visits the keys from one on, in order. A directory
/// is passed over by seeking behind it.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
fn list_by_seeking(
    prefix: &[u8],
    see: &mut dyn FnMut(Child<'_>),
    mut walk: impl FnMut(&[u8], &mut Visit<'_>) -> Result<()>,
) -> Result<()> {
    let mut next = Some(prefix.to_vec());
    while let Some(from) = next.take() {
        walk(&from, &mut |key| {
            let Some(rest) = key.strip_prefix(prefix) else {
                return false;
            };
            let Some(at) = rest.iter().position(|&byte| byte == DELIMITER) else {
                see(Child::Key(key));
                return true;
            };
            let child = &key[..prefix.len() + at + 1];
            see(Child::Prefix(child));
            let mut behind = child[..child.len() - 1].to_vec();
            behind.push(DELIMITER + 1);
            next = Some(behind);
            false
        })?;
    }
    Ok(())
}

/// Something to do with each kind of store. A trait, because no closure can be generic.
pub trait DiskVisitor {
    fn visit<S: DiskStore>(&mut self);
}

/// Shows the visitor every store of this build, in the order of the columns.
pub fn visit_all(visitor: &mut impl DiskVisitor) {
    #[cfg(feature = "spinney")]
    visitor.visit::<spinney::Spinney>();
    visitor.visit::<holt::Holt>();
    #[cfg(feature = "rocksdb")]
    visitor.visit::<rocksdb::RocksDb>();
    #[cfg(feature = "lmdb")]
    visitor.visit::<lmdb::Lmdb>();
    #[cfg(feature = "redb")]
    visitor.visit::<redb::Redb>();
    #[cfg(feature = "fjall")]
    visitor.visit::<fjall::Fjall>();
    #[cfg(feature = "sqlite")]
    visitor.visit::<sqlite::Sqlite>();
}

/// The stores that the options choose, with their [`DiskStore::ACKS`].
pub fn names(options: &Options) -> Result<Vec<(&'static str, [&'static str; 2])>> {
    struct Names(Vec<(&'static str, [&'static str; 2])>);
    impl DiskVisitor for Names {
        fn visit<S: DiskStore>(&mut self) {
            self.0.push((S::NAME, S::ACKS));
        }
    }
    let mut all = Names(Vec::new());
    visit_all(&mut all);
    let chosen = chosen(options, all.0.iter().map(|(name, _)| *name).collect());
    let chosen = chosen.map_err(|error| format!("{error} (built with --features peers: all of them)"))?;
    all.0.retain(|(name, _)| chosen.contains(name));
    Ok(all.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    struct Contract(Vec<&'static str>);

    impl DiskVisitor for Contract {
        fn visit<S: DiskStore>(&mut self) {
            let dir =
                std::env::temp_dir().join(format!("spinney-benches-{}-{}", S::NAME, std::process::id()));
            fs::create_dir_all(&dir).unwrap();
            keeps_what_it_acknowledges::<S>(&dir);
            fs::remove_dir_all(&dir).unwrap();
            self.0.push(S::NAME);
        }
    }

    fn keeps_what_it_acknowledges<S: DiskStore>(dir: &Path) {
        let keys = ["a/x/1", "a/x/2", "a/y", "a/z/1", "b"];
        for ack in [Ack::Buffered, Ack::Synced] {
            let setup =
                Setup { dir, ack, cache_bytes: 8 << 20, log_bytes: 8 << 20, sessions: 2, bulk: false };
            let store = S::open(&setup).unwrap();
            store.load(keys.iter().map(|key| (key.as_bytes(), b"old"))).unwrap();
            store.checkpoint().unwrap();
            let value = format!("{ack:?}");
            store.session().unwrap().put(b"a/y", value.as_bytes()).unwrap();
            store.sync().unwrap();
            store.close().unwrap();

            let store = S::open(&setup).unwrap();
            let mut session = store.session().unwrap();
            assert_eq!(session.get(b"a/y", <[u8]>::to_vec).unwrap(), Some(value.into_bytes()), "{}", S::NAME);
            assert_eq!(session.get(b"b", <[u8]>::to_vec).unwrap(), Some(b"old".to_vec()));
            assert_eq!(session.get(b"a", <[u8]>::to_vec).unwrap(), None);
            assert_eq!(session.count().unwrap(), keys.len());
            let mut found = Vec::new();
            let see = &mut |child: Child<'_>| match child {
                Child::Key(key) => found.push((key.to_vec(), false)),
                Child::Prefix(key) => found.push((key.to_vec(), true)),
            };
            session.hold().unwrap();
            session.list(b"a/", see).unwrap();
            let expected = [("a/x/", true), ("a/y", false), ("a/z/", true)];
            assert_eq!(found, expected.map(|(key, is_prefix)| (key.as_bytes().to_vec(), is_prefix)));
            let mut found = Vec::new();
            session.get_many(&[b"b", b"c", b"a/x/1"], &mut |place, _| found.push(place)).unwrap();
            found.sort_unstable();
            assert_eq!(found, [0, 2]);
            assert_eq!(session.get(b"b", <[u8]>::len).unwrap(), Some(3));
            drop(session);
            store.close().unwrap();
        }
    }

    #[test]
    fn every_store_keeps_what_it_acknowledges() {
        let mut contract = Contract(Vec::new());
        visit_all(&mut contract);
        assert!(contract.0.contains(&"holt"));
    }
}
