//! The stores that keep their data in files, each behind the same small face.
//!
//! How an acknowledged put is kept is chosen when a store is opened, because not every store can choose it
//! put by put. Reads and writes go through a `Session`, one a thread: some stores have connections. A new
//! store is one more file here, one more line in [`visit_all`] and, as its dependencies are heavy, a feature.

mod below;
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

use self::below::Entry;
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

    /// An empty store in memory, of a kind that is measured there, too.
    fn in_memory() -> Option<Result<Self>> {
        None
    }

    fn session(&self) -> Result<Self::Session<'_>>;

    /// Puts many entries in the given order, in the way the store likes best; durable after a `checkpoint`.
    fn load<'k, V: AsRef<[u8]>>(&self, entries: impl Iterator<Item = (&'k [u8], V)>) -> Result<()> {
        let mut session = self.session()?;
        for (key, value) in entries {
            session.put(key, value.as_ref())?;
        }
        Ok(())
    }

    /// Puts many entries in ascending order into an empty store, in the way it likes best; durable after a
    /// `checkpoint`. What it needs for that beside its own files goes into `dir`.
    fn load_sorted<'k, V: AsRef<[u8]>>(
        &self,
        _dir: &Path,
        entries: impl Iterator<Item = (&'k [u8], V)>,
    ) -> Result<()> {
        self.load(entries)
    }

    /// Everything acknowledged so far is on stable storage.
    fn sync(&self) -> Result<()>;

    /// Moves what is only in the log, or only in memory, to where it is read from, durably.
    fn checkpoint(&self) -> Result<()>;

    fn close(self) -> Result<()>;
}

/// What one thread reads and writes with.
pub trait Session: Sized {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;
    /// Removes a key that is there.
    fn remove(&mut self, key: &[u8]) -> Result<()>;
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

    /// Visits the entries that begin with `prefix` in order, those above `after` if that is given, for as
    /// long as `visit` goes on.
    fn walk(&mut self, prefix: &[u8], after: Option<&[u8]>, visit: &mut Visit<'_>) -> Result<()>;

    /// How many entries there are, counted by walking over them.
    fn count(&mut self) -> Result<usize> {
        walked(self, b"")
    }

    /// Puts and removes that are made together, where the store can do that. What is acknowledged is as safe
    /// as a put.
    fn change(&mut self, puts: &[Entry], removes: &[Entry]) -> Result<()> {
        puts.iter().try_for_each(|(key, value)| self.put(key, value))?;
        removes.iter().try_for_each(|(key, _)| self.remove(key))
    }

    /// How many keys begin with `prefix`, in the way the store likes best.
    fn count_below(&mut self, prefix: &[u8]) -> Result<usize> {
        walked(self, prefix)
    }

    /// Has all keys that begin with `from` begin with `to`, in the way the store likes best. None begins with
    /// `to` before.
    fn rename_below(&mut self, from: &[u8], to: &[u8]) -> Result<()> {
        below::in_steps(self, from, |session, entries| {
            let rename = |(key, value): &Entry| (below::moved(key, from, to), value.clone());
            let puts: Vec<Entry> = entries.iter().map(rename).collect();
            session.change(&puts, &entries)
        })
    }

    /// Removes all keys that begin with `prefix`, in the way the store likes best.
    fn remove_below(&mut self, prefix: &[u8]) -> Result<()> {
        below::in_steps(self, prefix, |session, entries| session.change(&[], &entries))
    }
}

/// What a walk calls for each key and its value; whether it goes on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> bool + 'a;

fn walked(session: &mut impl Session, prefix: &[u8]) -> Result<usize> {
    let mut count = 0;
    session.walk(prefix, None, &mut |_, _| {
        count += 1;
        true
    })?;
    Ok(count)
}

/// The same for keys alone.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
type VisitKey<'a> = dyn FnMut(&[u8]) -> bool + 'a;

/// Lists one level with a store that can only walk: `walk` visits the keys from one on, in order. A directory
/// is passed over by seeking behind it.
#[cfg_attr(not(feature = "peers"), allow(dead_code))]
fn list_by_seeking(
    prefix: &[u8],
    see: &mut dyn FnMut(Child<'_>),
    mut walk: impl FnMut(&[u8], &mut VisitKey<'_>) -> Result<()>,
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
            in_directory::<S>("contract", keeps_what_it_acknowledges::<S>);
            self.0.push(S::NAME);
        }
    }

    fn in_directory<S: DiskStore>(name: &str, test: impl FnOnce(&Path)) {
        let name = format!("spinney-benches-{name}-{}-{}", S::NAME, std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).unwrap();
        test(&dir);
        fs::remove_dir_all(&dir).unwrap();
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

    struct Directories;

    impl DiskVisitor for Directories {
        fn visit<S: DiskStore>(&mut self) {
            in_directory::<S>("directories", |dir| {
                for ack in [Ack::Buffered, Ack::Synced] {
                    let dir = &dir.join(format!("{ack:?}"));
                    fs::create_dir(dir).unwrap();
                    let setup = Setup {
                        dir,
                        ack,
                        cache_bytes: 8 << 20,
                        log_bytes: 8 << 20,
                        sessions: 2,
                        bulk: false,
                    };
                    moves_and_removes_directories::<S>(&setup);
                }
            });
            if let Some(store) = S::in_memory() {
                let store = store.unwrap();
                load_directories(&store);
                change_directories(&store);
                verify_directories(&store);
            }
        }
    }

    /// More than one step of keys; others lie before and behind.
    const MANY: usize = below::STEP_ENTRIES + 1_000;

    fn load_directories<S: DiskStore>(store: &S) {
        let many = (0..MANY).map(|number| format!("b/{number:05}"));
        let keys: Vec<String> = ["a", "b", "b0"].map(String::from).into_iter().chain(many).collect();
        store.load(keys.iter().map(|key| (key.as_bytes(), value_of(key)))).unwrap();
    }

    /// As long as in the cases: where 20,000 entries of 14 bytes were put, checkpoints of holt 0.9.2 failed
    /// (`OutOfSlots`).
    fn value_of(key: &str) -> Vec<u8> {
        format!("{key:100}").into_bytes()
    }

    fn change_directories<S: DiskStore>(store: &S) {
        let mut session = store.session().unwrap();
        assert_eq!(session.count_below(b"b/").unwrap(), MANY, "{}", S::NAME);
        session.rename_below(b"b/", b"c/longer/").unwrap();
        assert_eq!(session.count_below(b"b/").unwrap(), 0, "{}", S::NAME);
        assert_eq!(session.count_below(b"c/").unwrap(), MANY);
        assert_eq!(session.get(b"c/longer/10345", <[u8]>::to_vec).unwrap(), Some(value_of("b/10345")));
        session.remove_below(b"c/longer/1").unwrap();
        session.remove_below(b"nothing/").unwrap();
        session.remove(b"c/longer/00003").unwrap();
    }

    fn verify_directories<S: DiskStore>(store: &S) {
        let mut session = store.session().unwrap();
        let left = MANY - 1_000 - 1;
        assert_eq!(session.count().unwrap(), left + 3, "{}", S::NAME);
        assert_eq!(session.count_below(b"c/longer/1").unwrap(), 0);
        assert_eq!(session.count_below(b"c/longer/").unwrap(), left);
        let mut found = Vec::new();
        let after = Some(&b"c/longer/00001"[..]);
        session
            .walk(b"c/longer/", after, &mut |key, value| {
                found.push((key.to_vec(), value.to_vec()));
                found.len() < 2
            })
            .unwrap();
        let expected = [("c/longer/00002", "b/00002"), ("c/longer/00004", "b/00004")];
        assert_eq!(found, expected.map(|(key, old)| (key.as_bytes().to_vec(), value_of(old))));
    }

    fn moves_and_removes_directories<S: DiskStore>(setup: &Setup<'_>) {
        let store = S::open(&Setup { ack: Ack::Buffered, bulk: true, ..*setup }).unwrap();
        load_directories(&store);
        store.checkpoint().unwrap();
        store.close().unwrap();
        let store = S::open(setup).unwrap();
        change_directories(&store);
        verify_directories(&store);
        store.sync().unwrap();
        store.close().unwrap();
        let store = S::open(setup).unwrap();
        verify_directories(&store);
        store.close().unwrap();
    }

    #[test]
    fn every_store_moves_and_removes_directories() {
        visit_all(&mut Directories);
    }

    #[test]
    fn every_store_keeps_what_it_acknowledges() {
        let mut contract = Contract(Vec::new());
        visit_all(&mut contract);
        assert!(contract.0.contains(&"holt"));
    }
}
