//! The feed of changes: what was written, in its order, as far as the log still has it.
//!
//! Invariants:
//! * only what is durable is told, a batch as one, in the order of the versions and without gaps;
//! * whoever does all of it in order to a copy of what was there has what is there.
//!
//! Must not know: where the log lies, or what its bytes are.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::db::Db;
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::limits::{SYSTEM_TREES, TREE_ID_BYTES};
use crate::log::follow::Cursor;
use crate::log::payload::Write;
use crate::open::Open;
use crate::store::durable::Durable;
use crate::tree_names::{NameChange, TreeNames};
use crate::value::Version;

/// A write that has taken place.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # let backend = std::sync::Arc::new(MemoryBackend::new());
/// # let db = spinney::Db::builder().open_backend(backend)?;
/// let files = db.tree("files")?;
/// let made: spinney::Change = db.changes_since(spinney::Version::from_number(0))?.next().expect("one")?;
/// let put = files.put("a/b", "c")?;
/// // Whoever has done a change goes on behind it.
/// let next = db.changes_since(made.version)?.next().expect("another")?;
/// assert_eq!((made.version.number(), next.version), (1, put));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The number of the write; of a batch that of its last. Whoever has done this change goes on with
    /// [`Db::changes_since`] this version.
    pub version: Version,
    /// What was written.
    pub what: Changed,
}

/// What a [`Change`] is about. Trees are named as they were named at that moment.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # let backend = std::sync::Arc::new(MemoryBackend::new());
/// use spinney::Changed;
///
/// # let db = spinney::Db::builder().open_backend(backend)?;
/// let version = db.tree("drafts")?.put("a/b", "c")?;
/// db.rename_tree("drafts", "letters")?;
/// db.tree("letters")?.rename_prefix("a/", "z/")?;
/// let changes = db.changes_since(version)?.collect::<spinney::Result<Vec<_>>>()?;
/// let renamed = Changed::TreeRenamed { from: "drafts".into(), to: "letters".into() };
/// assert_eq!(changes[0].what, renamed);
/// let (tree, from, to) = ("letters".into(), b"a/".to_vec(), b"z/".to_vec());
/// assert_eq!(changes[1].what, Changed::RenamePrefix { tree, from, to });
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Changed {
    /// A key got a value, whether it was there before or not.
    Put {
        /// The name of the tree.
        tree: Arc<str>,
        /// The key.
        key: Vec<u8>,
        /// Its value from now on.
        value: Vec<u8>,
    },
    /// A key got a value of more than [`SHORT_VALUE_BYTES_MAX`](crate::SHORT_VALUE_BYTES_MAX) bytes.
    PutLong {
        /// The name of the tree.
        tree: Arc<str>,
        /// The key.
        key: Vec<u8>,
        /// Its value from now on. Long values are read when they are told, and not kept for that: there is
        /// none here if it was overwritten or removed since, which a later change says.
        value: Option<Vec<u8>>,
    },
    /// A key was removed. In a batch it may not have been there.
    Remove {
        /// The name of the tree.
        tree: Arc<str>,
        /// The key.
        key: Vec<u8>,
    },
    /// A value was moved to another key, where nothing was. In a batch there may have been nothing to move.
    Rename {
        /// The name of the tree.
        tree: Arc<str>,
        /// The key up to now.
        from: Vec<u8>,
        /// The key from now on.
        to: Vec<u8>,
    },
    /// All keys with a prefix were moved, to where no keys were.
    RenamePrefix {
        /// The name of the tree.
        tree: Arc<str>,
        /// What they began with up to now.
        from: Vec<u8>,
        /// What they begin with from now on.
        to: Vec<u8>,
    },
    /// All keys with a prefix were removed.
    RemovePrefix {
        /// The name of the tree.
        tree: Arc<str>,
        /// What they began with.
        prefix: Vec<u8>,
    },
    /// A tree was made.
    TreeMade {
        /// Its name.
        tree: Arc<str>,
    },
    /// A tree got another name.
    TreeRenamed {
        /// Its name up to now.
        from: Arc<str>,
        /// Its name from now on.
        to: Arc<str>,
    },
    /// A tree was removed, with all of its keys.
    TreeDropped {
        /// Its name.
        tree: Arc<str>,
    },
    /// Keys were loaded with [`Tree::load`](crate::Tree::load), where no keys were. They are not in the log,
    /// so they are not here: copy them from the database, see [`Db::changes_since`].
    Loaded {
        /// The name of the tree.
        tree: Arc<str>,
        /// What all of them begin with.
        prefix: Vec<u8>,
        /// How many they were.
        keys: u64,
    },
    /// Several writes that took place together, in their order: puts, removals and renames. A transaction is
    /// one, too.
    Batch(Vec<Change>),
}

/// What was written, change by change: made by [`Db::changes_since`].
///
/// As an iterator it ends where nothing more is durable, and can be asked again: [`wait`](Changes::wait)
/// sleeps until then. `changes.by_ref().take(1000)` is a page of them. It keeps the database open, as all
/// handles do, and at most one batch and 2 MiB of the log in memory. After an error it has ended, too; to
/// wait is to try again.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # let backend = std::sync::Arc::new(MemoryBackend::new());
/// # let db = spinney::Db::builder().open_backend(backend)?;
/// let files = db.tree("files")?;
/// for number in 0..10 {
///     files.put(format!("{number}"), "")?;
/// }
/// let mut changes = db.changes_since(spinney::Version::from_number(0))?;
/// let page: Vec<_> = changes.by_ref().take(4).collect::<spinney::Result<_>>()?;
/// assert_eq!(page.len(), 4);
/// // Later, perhaps in another process, it goes on where this has ended.
/// let rest = db.changes_since(page[3].version)?;
/// assert_eq!(rest.count(), 7);
/// # Ok(())
/// # }
/// ```
pub struct Changes {
    open: Arc<Open>,
    cursor: Cursor,
    names: TreeNames,
    /// Was read while waiting for it.
    pending: Option<Change>,
    /// The last version that was handed out, or passed over.
    version: u64,
    /// It has met an error.
    is_over: bool,
}

impl Db {
    /// What was written after the write `since`, in order, as far as it is durable and the log still has it.
    ///
    /// With it an application keeps a copy or an index up to date, near or far. A follower does the changes
    /// in their order, notes the version of the last one it has done, and goes on from there when it comes
    /// back. It begins with an empty copy and version 0, or with a copy of all of a
    /// [`Snapshot`](crate::Snapshot), or a [backup](Db::backup_to), and its
    /// [version](crate::Snapshot::version); a backup that was just opened tells it as
    /// [`Stats::last_version`](crate::Stats::last_version). A copy may have what a crash still takes back,
    /// and then other writes get those versions: before its version is noted, [`Db::sync`] has to have
    /// returned once behind the snapshot or backup. `examples/follower.rs` is one.
    ///
    /// **What is told.** Every write that has changed something, once, when it is on stable storage: what is
    /// [`Buffered`](crate::Durability::Buffered) as soon as it is flushed. Nothing that a crash may take back
    /// is told, and no half of a batch. Whole directories that move or go are one change. What a handle of a
    /// tree writes after the tree was dropped is not told: nobody finds it.
    ///
    /// **Loads** are told, but not what was loaded, which is not in the log. When a follower meets
    /// [`Changed::Loaded`], the simple way is to begin anew with a copy of a snapshot made then. The keys may
    /// have been changed, moved or removed since, so to copy the prefix alone is right only if nothing was
    /// written after the load up to the copy.
    ///
    /// **How far back it goes.** To the last checkpoint but one, about, unless
    /// [`Options::keep_changes_bytes`](crate::Options::keep_changes_bytes) keeps more; that outlives crashes
    /// and what recovers from them. Closing removes the log: after that, changes begin with the last version
    /// that there was. So a follower that has everything before the database is closed misses nothing.
    ///
    /// Reading does not hinder writers, and who falls behind does not, either: what the log needs its places
    /// for is recycled, and the follower told so.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::backend::MemoryBackend;
    /// # use spinney::Version;
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// use spinney::Changed;
    /// use std::time::Duration;
    ///
    /// # let db = spinney::Db::builder().open_backend(backend)?;
    /// let files = db.tree("files")?;
    /// let mut changes = db.changes_since(Version::from_number(0))?;
    /// let made = changes.next().expect("a change")?;
    /// assert_eq!(made.what, Changed::TreeMade { tree: "files".into() });
    ///
    /// files.put("a/b", "c")?;
    /// assert!(changes.wait(Duration::from_secs(10))?);
    /// match changes.next().expect("another")?.what {
    ///     Changed::Put { tree, key, value } => {
    ///         assert_eq!((&*tree, &key[..], &value[..]), ("files", &b"a/b"[..], &b"c"[..]));
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// assert!(changes.next().is_none());
    /// assert_eq!(changes.version().number(), 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::ChangesRecycled`] if the log does not go back so far any more: then the follower begins anew
    /// with a copy. [`Error::ChangesAhead`] if there was no such write yet. [`Error::NoChanges`] for a
    /// database in memory, or open for reading only. [`Error::Closed`], [`Error::Poisoned`], and what reading
    /// the log may meet: [`Error::Io`], [`Error::LogCorrupt`].
    pub fn changes_since(&self, since: Version) -> Result<Changes> {
        let open = self.open_handle().clone();
        let since = since.number();
        let durable = durable_of(&open)?;
        let last = open.forest.store.last_seq();
        if since > last {
            return Err(Error::ChangesAhead { since, last });
        }
        let (mut names, as_of) = self.tree_names()?;
        if as_of > since {
            self.sync()?;
            names = names_before(durable, names, since, as_of)?;
        }
        let cursor = match durable.log.cursor(since) {
            // There is such a write, but it is not durable yet.
            Err(Error::ChangesAhead { .. }) => self.sync().and_then(|()| durable.log.cursor(since)),
            cursor => cursor,
        }?;
        Ok(Changes { open, cursor, names, pending: None, version: since, is_over: false })
    }
}

/// A database that is in memory, or only read, has no log to follow.
fn durable_of(open: &Open) -> Result<&Durable> {
    let durable = open.forest.store.durable.get().ok_or(Error::NoChanges)?;
    if durable.has_ended() { Err(Error::Closed) } else { Ok(durable) }
}

/// What the trees were called after the write `since`, going by what they were called after `as_of`.
fn names_before(durable: &Durable, mut names: TreeNames, since: u64, as_of: u64) -> Result<TreeNames> {
    let mut cursor = durable.log.cursor(since)?;
    let mut changes = Vec::new();
    while cursor.seq() < as_of {
        match durable.log.follow(&mut cursor, |_, write| Ok(NameChange::of(write)))? {
            Some(change) => changes.extend(change),
            None => break,
        }
    }
    changes.iter().rev().for_each(|change| names.undo(change));
    Ok(names)
}

impl Changes {
    /// The version of the last change that was handed out, at least: to go on from there later. At the end it
    /// is that of the last durable write, whether there was anything to tell of it or not.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::backend::MemoryBackend;
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// # let db = spinney::Db::builder().open_backend(backend)?;
    /// let mut changes = db.changes_since(spinney::Version::from_number(0))?;
    /// let version = db.tree("files")?.put("a/b", "c")?;
    /// assert_eq!(changes.version().number(), 0);
    /// assert_eq!(changes.by_ref().count(), 2);
    /// assert_eq!(changes.version(), version);
    /// # Ok(())
    /// # }
    /// ```
    pub fn version(&self) -> Version {
        Version::from_number(self.version)
    }

    /// Sleeps until there is a change to hand out, for `time_max` at most. True if there is one.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # use spinney::backend::MemoryBackend;
    /// # let backend = std::sync::Arc::new(MemoryBackend::new());
    /// # let db = spinney::Db::builder().open_backend(backend)?;
    /// # let files = db.tree("files")?;
    /// use std::time::Duration;
    ///
    /// let mut changes = db.changes_since(files.put("a", "1")?)?;
    /// assert!(!changes.wait(Duration::from_millis(1))?, "there is nothing new");
    /// let writer = std::thread::spawn(move || files.put("b", "2"));
    /// assert!(changes.wait(Duration::from_secs(60))?);
    /// # writer.join().expect("no panic")?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Closed`] when the database was closed, [`Error::Poisoned`] when its log has failed: there
    /// will be no more. What [`next`](Iterator::next) may meet, this may meet, too.
    pub fn wait(&mut self, time_max: Duration) -> Result<bool> {
        // Where there is no clock, there is nobody else to write, either.
        let started = (!cfg!(target_arch = "wasm32")).then(Instant::now);
        while self.pending.is_none() {
            self.pending = self.read()?;
            if self.pending.is_some() {
                break;
            }
            let left = started.map(|started| time_max.saturating_sub(started.elapsed()));
            let is_more =
                durable_of(&self.open)?.log.wait_for_more(&self.cursor, left.unwrap_or_default())?;
            if !is_more {
                return Ok(false);
            }
        }
        self.is_over = false;
        Ok(true)
    }

    /// The next change that there is anything to tell of.
    fn read(&mut self) -> Result<Option<Change>> {
        let forest = &self.open.forest;
        let durable = forest.store.durable.get().ok_or(Error::NoChanges)?;
        loop {
            let names = &mut self.names;
            let take = |seq, write: Write<'_>| change_of(forest, names, seq, write);
            match durable.log.follow(&mut self.cursor, take)? {
                None => return Ok(None),
                Some(Some(change)) => return Ok(Some(change)),
                Some(None) => {}
            }
        }
    }
}

impl Iterator for Changes {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let change = match self.pending.take() {
            Some(change) => Ok(Some(change)),
            None => self.read(),
        };
        match &change {
            Ok(Some(change)) => self.version = change.version.number(),
            Ok(None) => self.version = self.cursor.seq(),
            Err(_) => self.is_over = true,
        }
        change.transpose()
    }
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").field("version", &self.version()).finish_non_exhaustive()
    }
}

/// What a write is to those who know trees by their names; none if it is to none that has one.
fn change_of(forest: &Forest, names: &mut TreeNames, seq: u64, write: Write<'_>) -> Result<Option<Change>> {
    let last = seq.saturating_add(write.seqs().saturating_sub(1));
    let what = if let Write::Batch(writes) = write {
        let each = (seq..).zip(writes.iter());
        let changes = each.filter_map(|(seq, write)| change_of(forest, names, seq, write).transpose());
        let mut changes = changes.collect::<Result<Vec<Change>>>()?;
        let has_aside = || writes.iter().any(is_aside);
        match changes.pop() {
            None => None,
            // To write a long value, or over one, is a batch with what nobody sees.
            Some(only) if changes.is_empty() && has_aside() => Some(only.what),
            Some(last) => {
                changes.push(last);
                Some(Changed::Batch(changes))
            }
        }
    } else if let Some(change) = NameChange::of(write) {
        names.apply(&change);
        Some(match change {
            NameChange::Made { name, .. } => Changed::TreeMade { tree: name },
            NameChange::Renamed { from, to } => Changed::TreeRenamed { from, to },
            NameChange::Dropped { name, .. } => Changed::TreeDropped { tree: name },
        })
    } else {
        match write {
            Write::PutLong { key, pointer } => put_long(forest, names, key, pointer)?,
            _ => changed(names, write),
        }
    };
    Ok(what.map(|what| Change { version: Version::from_number(last), what }))
}

fn put_long(forest: &Forest, names: &TreeNames, key: &[u8], pointer: &[u8]) -> Result<Option<Changed>> {
    let Some(tree) = names.of_key(key) else {
        return Ok(None);
    };
    let mut value = pointer.to_vec();
    let is_whole = forest.read_long(&mut value)?;
    Ok(Some(Changed::PutLong { tree, key: behind(key), value: Some(value).filter(|_| is_whole) }))
}

fn behind(key: &[u8]) -> Vec<u8> {
    key.get(TREE_ID_BYTES..).unwrap_or_default().to_vec()
}

/// Whether a key is of a tree that has no name.
fn is_hidden(key: &[u8]) -> bool {
    key.first_chunk().is_some_and(|id| u32::from_be_bytes(*id) >= SYSTEM_TREES)
}

/// Whether a write of a batch says which long values have a leaf.
fn is_aside(write: Write<'_>) -> bool {
    matches!(write, Write::Put { key, .. } | Write::Remove { key } if is_hidden(key))
}

fn changed(names: &TreeNames, write: Write<'_>) -> Option<Changed> {
    Some(match write {
        Write::Put { key, value } => {
            Changed::Put { tree: names.of_key(key)?, key: behind(key), value: value.to_vec() }
        }
        Write::Remove { key } => Changed::Remove { tree: names.of_key(key)?, key: behind(key) },
        Write::Rename { from, to } => {
            Changed::Rename { tree: names.of_key(from)?, from: behind(from), to: behind(to) }
        }
        // To where nobody looks: it is taken apart there.
        Write::MovePrefix { from, to } | Write::MoveAway { from, to, .. } if is_hidden(to) => {
            Changed::RemovePrefix { tree: names.of_key(from)?, prefix: behind(from) }
        }
        Write::MovePrefix { from, to } => {
            Changed::RenamePrefix { tree: names.of_key(from)?, from: behind(from), to: behind(to) }
        }
        Write::RemovePrefix { prefix, .. } => {
            Changed::RemovePrefix { tree: names.of_key(prefix)?, prefix: behind(prefix) }
        }
        Write::Load { prefix, keys } => {
            Changed::Loaded { tree: names.of_key(prefix)?, prefix: behind(prefix), keys }
        }
        // What it makes count is handed out in its place, or told otherwise.
        Write::Batch(_) | Write::BatchCommit(_) | Write::PutLong { .. } | Write::MoveAway { .. } => {
            return None;
        }
    })
}
