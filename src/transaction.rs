//! Transactions: reads and writes that happen as if at one moment.
//!
//! A transaction takes no latch while it runs. It remembers what it has read: the version of each key, or
//! that it is not there; and of ranges what `forest::notes` tells. Its writes it keeps to itself. Committing
//! is a batch with all of that as its condition.
//!
//! What a running transaction has read is true of one moment, *since*: the number of a write, all writes up
//! to which are in what was read, and none after it. A key with a version up to *since* is as it was then; so
//! is all of a blob whose highest seq is not above it. Where something newer is met, the moment is moved on,
//! if all that was read before is still the same; else the run is broken, and begins again. So a transaction
//! that has only read need not be validated in the end.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use crate::blob::key::KeyBuf;
use crate::error::{Error, Result};
use crate::forest::batch::{Batch, Refused};
use crate::forest::long::Kept;
use crate::forest::notes::{Note, Seen};
use crate::forest::read::Observed;
use crate::forest::write::Condition;
use crate::limits::SHORT_VALUE_BYTES_MAX;
use crate::log::record::payload_hash;
use crate::open::Open;
use crate::store::durable::Durability;
use crate::transaction_list::TransactionList;
use crate::transaction_scan::TransactionScan;
use crate::tree::{Tree, checked, checked_value};
use crate::value::Value;

/// How often the moment of a run may have to be moved on at once, before it counts as broken.
const MOVES_MAX: u32 = 8;

/// Reads and writes of one run; see [`Db::transact`](crate::Db::transact).
///
/// Trees are given with each call, so that a transaction can span several. Writes become visible, and get
/// their versions, when it commits. Through the handles of trees one writes past the transaction; to change
/// there what the transaction has read breaks it.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let db = spinney::Db::memory();
/// let (files, sizes) = (db.tree("files")?, db.tree("sizes")?);
/// let store = |tx: &spinney::Transaction| {
///     tx.put(&files, "a/b", "text")?;
///     tx.put(&sizes, "a/b", [4])
/// };
/// db.transact(store)?;
/// assert!(files.contains("a/b")? && sizes.contains("a/b")?);
/// # Ok(())
/// # }
/// ```
pub struct Transaction {
    pub(crate) open: Arc<Open>,
    state: RefCell<State>,
    durability: Cell<Durability>,
}

#[derive(Default)]
struct State {
    /// What was read is true after this write.
    since: u64,
    seen: Seen,
    /// The keys that were read.
    keys: BTreeMap<Vec<u8>, Option<Known>>,
    /// The first note of each blob.
    noted: HashMap<u32, usize>,
    /// What was written; none for what was removed.
    own: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// What was read is not true of one moment.
    is_broken: bool,
}

/// What is known of a key that was read. All keys of a load have one version, and keep it where they move to:
/// one may take the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    version: u64,
    /// Of the value, or of what says where a long one lies.
    hash: u64,
}

impl Known {
    fn of(seen: &Observed, value: &[u8]) -> Option<Self> {
        seen.version.map(|version| Known { version, hash: payload_hash(value) })
    }
}

/// A key that a transaction has written, and its value; none if it was removed.
pub(crate) type Own = (Vec<u8>, Option<Vec<u8>>);

/// Runs a closure until it commits.
pub(crate) fn transact<T>(
    open: &Arc<Open>,
    durability: Durability,
    mut run: impl FnMut(&Transaction) -> Result<T>,
) -> Result<T> {
    let outcome = open
        .forest
        .keeping(|kept| (0..Transaction::TRIES_MAX).find_map(|_| try_once(open, durability, &mut run, kept)));
    outcome.unwrap_or(Err(Error::Conflict { tries: Transaction::TRIES_MAX }))
}

/// One run; none if it has to be run again.
fn try_once<T>(
    open: &Arc<Open>,
    durability: Durability,
    run: &mut impl FnMut(&Transaction) -> Result<T>,
    kept: &mut Kept,
) -> Option<Result<T>> {
    let tx = Transaction::of(open, durability);
    let outcome = run(&tx);
    let (state, durability) = (tx.state.into_inner(), tx.durability.get());
    if !state.is_broken {
        let committed = outcome.and_then(|value| Ok((value, state.commit(open, durability, kept)?)));
        match committed {
            Ok((value, true)) => return Some(Ok(value)),
            Ok((_, false)) => {}
            Err(error) => return Some(Err(error)),
        }
    }
    open.forest.store.counters.restarts.add_one();
    std::thread::yield_now();
    None
}

fn is_long(value: &[u8]) -> bool {
    value.len() > SHORT_VALUE_BYTES_MAX
}

impl State {
    /// Applies what was written, if what was read is as it was. False if not.
    fn commit(mut self, open: &Open, durability: Durability, kept: &mut Kept) -> Result<bool> {
        if self.own.is_empty() {
            return Ok(true);
        }
        // Also before anything long is written for nothing.
        let mut is_doubtful = self.own.values().flatten().any(|value| is_long(value));
        for _ in 0..MOVES_MAX {
            if (is_doubtful || self.seen.moves != Some(open.forest.store.moves())) && !self.move_on(open)? {
                return Ok(false);
            }
            is_doubtful = true;
            let applied = match open.forest.commit_run(self.batch(), &self.seen, kept) {
                Ok(applied) => applied,
                // Others have moved meanwhile, perhaps.
                Err(Refused::Stale) => continue,
                Err(Refused::Step { .. }) => return Ok(false),
                Err(Refused::Failed(error)) => return Err(error),
            };
            if let Some(appended) = applied.appended {
                open.forest.store.acknowledge(appended, durability).map_err(Error::after_the_fact)?;
            }
            return Ok(true);
        }
        Ok(false)
    }

    /// What was written, on the condition that the keys are as they were.
    fn batch(&self) -> Batch {
        let mut batch = Batch::default();
        for (key, known) in &self.keys {
            let condition = known.map_or(Condition::Absent, |known| Condition::Version(known.version));
            batch.expect([key, b""], condition);
        }
        for (key, value) in &self.own {
            match value {
                Some(value) if is_long(value) => {
                    batch.put_long([key, b""], value.clone(), Condition::Always);
                }
                Some(value) => batch.put([key, b""], value, Condition::Always),
                None => batch.remove([key, b""], Condition::Always),
            }
        }
        batch
    }

    /// Moves the moment on, so that it is not before `newest`. False if something was changed in between.
    fn move_on(&mut self, open: &Open) -> Result<bool> {
        let forest = &open.forest;
        let mut value = Vec::new();
        for _ in 0..MOVES_MAX {
            let (moves, since) = (forest.store.moves(), forest.store.last_seq());
            let mut is_sure = true;
            for (key, known) in &self.keys {
                let mut buffer = KeyBuf::empty();
                let seen = forest.observe(&buffer.fill_whole(key), &mut value)?;
                if Known::of(&seen, &value) != *known {
                    return Ok(false);
                }
                // A key that is not there may have come and gone.
                is_sure &= known.is_some() || seen.highest_seq <= since;
            }
            if !forest.all_hold(&self.seen.notes)? {
                return Ok(false);
            }
            if is_sure {
                (self.since, self.seen.moves) = (since, Some(moves));
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Transaction {
    fn of(open: &Arc<Open>, durability: Durability) -> Self {
        let seen = Seen { moves: Some(open.forest.store.moves()), ..Seen::default() };
        let state = State { since: open.forest.store.last_seq(), seen, ..State::default() };
        Transaction { open: open.clone(), state: RefCell::new(state), durability: Cell::new(durability) }
    }

    /// How often a transaction is run before it is given up: [`Error::Conflict`].
    ///
    /// ```
    /// assert!(spinney::Transaction::TRIES_MAX > 100);
    /// ```
    pub const TRIES_MAX: u32 = 1000;

    fn broken(&self) -> Error {
        self.state.borrow_mut().is_broken = true;
        Error::Conflict { tries: 1 }
    }

    /// A key with the id of its tree in front.
    fn whole(&self, tree: &Tree, key: &[u8]) -> Result<Vec<u8>> {
        if !tree.belongs_to(&self.open.forest) {
            return Err(Error::OtherDatabase);
        }
        Ok([&tree.id_bytes(), checked(key)?].concat())
    }

    /// Makes sure that what was just read is of the moment that all else is of.
    fn settle(&self, is_of_moment: impl Fn(u64) -> bool) -> Result<()> {
        let mut state = self.state.borrow_mut();
        for _ in 0..MOVES_MAX {
            if state.is_broken {
                break;
            }
            // A directory that moves takes the versions of its keys along.
            if is_of_moment(state.since) && state.seen.moves == Some(self.open.forest.store.moves()) {
                return Ok(());
            }
            if !state.move_on(&self.open)? {
                break;
            }
        }
        drop(state);
        Err(self.broken())
    }

    /// Reads a key that the transaction has not written; a long value only if it is wanted.
    fn read(&self, key: Vec<u8>, with_value: bool) -> Result<Option<Value>> {
        let mut value = Vec::new();
        let mut buffer = KeyBuf::empty();
        let seen = self.open.forest.observe(&buffer.fill_whole(&key), &mut value)?;
        let (version, highest_seq) = (seen.version, seen.highest_seq);
        let found = Known::of(&seen, &value);
        if seen.is_pointer && with_value {
            self.read_long(&mut value)?;
        }
        let known = self.state.borrow_mut().keys.insert(key, found);
        if known.is_some_and(|known| known != found) {
            return Err(self.broken());
        }
        self.settle(|since| version.unwrap_or(highest_seq) <= since)?;
        Ok(version.map(|version| Value::new(value, version)))
    }

    /// Reads the value that a pointer leaf refers to. If it has gone meanwhile, the leaf was changed.
    pub(crate) fn read_long(&self, value: &mut Vec<u8>) -> Result<()> {
        if self.open.forest.read_long(value)? { Ok(()) } else { Err(self.broken()) }
    }

    /// Remembers what a walk has been in.
    pub(crate) fn note(&self, notes: Vec<Note>) -> Result<()> {
        for note in notes {
            let highest_seq = note.highest_seq;
            let is_same = {
                let State { noted, seen, .. } = &mut *self.state.borrow_mut();
                let notes = &mut seen.notes;
                match noted.get(&note.blob).map(|&at| &mut notes[at]) {
                    None => {
                        noted.insert(note.blob, notes.len());
                        notes.push(note);
                        true
                    }
                    Some(known) => known.take_in(note),
                }
            };
            if !is_same {
                return Err(self.broken());
            }
            self.settle(|since| highest_seq <= since)?;
        }
        Ok(())
    }

    /// The next write of the transaction itself in a range.
    pub(crate) fn next_own(&self, from: Bound<&Vec<u8>>, end: &Vec<u8>) -> Option<Own> {
        match from {
            Bound::Included(start) | Bound::Excluded(start) if start < end => {}
            _ => return None,
        }
        let range = (from, Bound::Excluded(end));
        let state = self.state.borrow();
        state.own.range::<Vec<u8>, _>(range).next().map(|(key, value)| (key.clone(), value.clone()))
    }

    /// The value of a key, as the transaction has left it. A value that it has put itself has version 0: it
    /// gets one when the transaction commits.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// db.transact(|tx| {
    ///     assert!(tx.get(&files, "a")?.is_none());
    ///     tx.put(&files, "a", "1")?;
    ///     assert_eq!(tx.get(&files, "a")?.as_deref(), Some(&b"1"[..]));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn get(&self, tree: &Tree, key: impl AsRef<[u8]>) -> Result<Option<Value>> {
        let key = self.whole(tree, key.as_ref())?;
        if let Some(own) = self.state.borrow().own.get(&key) {
            return Ok(own.clone().map(|value| Value::new(value, 0)));
        }
        self.read(key, true)
    }

    /// Whether a key is there.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a", "1")?;
    /// assert!(db.transact(|tx| tx.contains(&files, "a"))?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn contains(&self, tree: &Tree, key: impl AsRef<[u8]>) -> Result<bool> {
        let key = self.whole(tree, key.as_ref())?;
        if let Some(own) = self.state.borrow().own.get(&key) {
            return Ok(own.is_some());
        }
        Ok(self.read(key, false)?.is_some())
    }

    /// Puts a value.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// db.transact(|tx| {
    ///     tx.put(&files, "a", "1")?;
    ///     tx.put(&files, "b", "2")
    /// })?;
    /// assert_eq!(files.scan("").count(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put(&self, tree: &Tree, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        checked_value(value.as_ref())?;
        let key = self.whole(tree, key.as_ref())?;
        self.state.borrow_mut().own.insert(key, Some(value.as_ref().to_vec()));
        Ok(())
    }

    /// Removes a key, if it is there. To know whether it is, look first.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a", "1")?;
    /// db.transact(|tx| tx.remove(&files, "a"))?;
    /// assert!(files.is_empty()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove(&self, tree: &Tree, key: impl AsRef<[u8]>) -> Result<()> {
        let key = self.whole(tree, key.as_ref())?;
        self.state.borrow_mut().own.insert(key, None);
        Ok(())
    }

    /// Moves a value to another key of the same tree. False if `from` is not there; [`Error::TargetExists`]
    /// if `to` is.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a", "1")?;
    /// assert!(db.transact(|tx| tx.rename(&files, "a", "b"))?);
    /// assert!(files.contains("b")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn rename(&self, tree: &Tree, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Result<bool> {
        let (from, to) = (from.as_ref(), to.as_ref());
        let Some(value) = self.get(tree, from)? else {
            self.whole(tree, to)?;
            return Ok(false);
        };
        if from != to {
            if self.contains(tree, to)? {
                return Err(Error::TargetExists);
            }
            self.remove(tree, from)?;
            self.put(tree, to, value)?;
        }
        Ok(true)
    }

    /// All keys that begin with `prefix`, in order, with their values, as the transaction has left them.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a/1", "")?;
    /// let keys = db.transact(|tx| {
    ///     tx.put(&files, "a/0", "")?;
    ///     tx.scan(&files, "a/")?.map(|pair| Ok(pair?.0)).collect::<spinney::Result<Vec<_>>>()
    /// })?;
    /// assert_eq!(keys, [b"a/0", b"a/1"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn scan(&self, tree: &Tree, prefix: impl AsRef<[u8]>) -> Result<TransactionScan<'_>> {
        self.whole(tree, b"")?;
        Ok(TransactionScan::new(self, tree.span_of_prefix(prefix.as_ref())))
    }

    /// All keys within bounds, in order, with their values, as the transaction has left them.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a", "")?;
    /// files.put("b", "")?;
    /// assert_eq!(db.transact(|tx| Ok(tx.range(&files, "b"..)?.count()))?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn range<K: AsRef<[u8]>>(
        &self,
        tree: &Tree,
        bounds: impl RangeBounds<K>,
    ) -> Result<TransactionScan<'_>> {
        self.whole(tree, b"")?;
        Ok(TransactionScan::new(self, tree.span_of_bounds(bounds)))
    }

    /// The children of a directory, as [`Tree::list`](crate::Tree::list) has them, as the transaction has
    /// left them.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("photos/2025/a.jpg", "")?;
    /// let names = db.transact(|tx| {
    ///     tx.put(&files, "photos/cover.jpg", "")?;
    ///     let list = tx.list(&files, "photos/")?;
    ///     list.map(|entry| Ok(entry?.name().to_vec())).collect::<spinney::Result<Vec<_>>>()
    /// })?;
    /// assert_eq!(names, [&b"photos/2025/"[..], b"photos/cover.jpg"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn list(&self, tree: &Tree, prefix: impl AsRef<[u8]>) -> Result<TransactionList<'_>> {
        let prefix = prefix.as_ref();
        Ok(TransactionList::new(self.scan(tree, prefix)?, prefix.len()))
    }

    /// Whether a tree has no key.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// db.transact(|tx| if tx.is_empty(&files)? { tx.put(&files, "first", "") } else { Ok(()) })?;
    /// assert!(files.contains("first")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self, tree: &Tree) -> Result<bool> {
        Ok(self.scan(tree, b"")?.next().transpose()?.is_none())
    }

    /// An error for the closure to return, so that nothing is applied: [`Error::Aborted`]. Any other does the
    /// same.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let outcome = db.transact(|tx| {
    ///     tx.put(&files, "a", "1")?;
    ///     Err::<(), _>(tx.abort())
    /// });
    /// assert!(matches!(outcome, Err(spinney::Error::Aborted)) && files.is_empty()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn abort(&self) -> Error {
        Error::Aborted
    }

    /// When the transaction is acknowledged, if not as the handle of the database says.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// db.transact(|tx| {
    ///     tx.durability(spinney::Durability::Buffered);
    ///     tx.put(&files, "a", "1")
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn durability(&self, durability: Durability) {
        self.durability.set(durability);
    }
}

/// For JavaScript, which runs the closure itself.
#[cfg(target_arch = "wasm32")]
impl Transaction {
    /// Begins a run.
    pub(crate) fn begin(db: &crate::Db) -> Self {
        Transaction::of(db.open_handle(), db.durability())
    }

    /// Whether the run has to be given up and done again.
    pub(crate) fn is_broken(&self) -> bool {
        self.state.borrow().is_broken
    }

    /// Ends a run. False if it has to be done again.
    pub(crate) fn commit(self) -> Result<bool> {
        let state = self.state.into_inner();
        if state.is_broken {
            return Ok(false);
        }
        self.open.forest.keeping(|kept| state.commit(&self.open, self.durability.get(), kept))
    }
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = self.state.borrow();
        f.debug_struct("Transaction").field("writes", &state.own.len()).finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::Db;

    /// What is read again of a blob is not looked at once more when the transaction commits.
    #[test]
    fn a_blob_is_noted_once() -> crate::Result<()> {
        let db = Db::memory();
        let files = db.tree("files")?;
        for number in 0..300 {
            files.put(format!("d{number:03}/a"), "")?;
        }
        db.transact(|tx| {
            assert_eq!(tx.list(&files, "d2")?.count(), 100);
            assert_eq!(tx.state.borrow().seen.notes.len(), 1);
            assert_eq!(tx.list(&files, "")?.count(), 300);
            assert_eq!(tx.state.borrow().seen.notes.len(), 1, "it holds from the lower place on");
            tx.put(&files, "seen", "")
        })?;
        Ok(())
    }
}
