//! Several writes as one.

#![forbid(unsafe_code)]

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::forest::batch::{self, Refused};
use crate::forest::write::Condition;
use crate::limits::SHORT_VALUE_BYTES_MAX;
use crate::open::Open;
use crate::store::durable::Durability;
use crate::tree::{Tree, checked, checked_value};
use crate::value::Version;

/// Writes and conditions, of one tree or of several, that are applied all together or not at all; made by
/// [`Db::batch`](crate::Db::batch).
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let db = spinney::Db::memory();
/// let (files, owners) = (db.tree("files")?, db.tree("owners")?);
/// db.batch()
///     .expect_absent(&files, "a/b")
///     .put(&files, "a/b", "...")
///     .put(&owners, "a/b", "Ada")
///     .commit()?;
/// assert!(files.contains("a/b")? && owners.contains("a/b")?);
/// # Ok(())
/// # }
/// ```
///
/// Steps are taken in the order in which they were added, and each sees those before it: a key can be put,
/// renamed and removed in one batch. Nothing happens before [`commit`](Batch::commit).
///
/// **All or nothing.** After a crash either every write of a batch is there or none. A reader never sees a
/// key half-way. One that looks at two keys, one after the other, sees the second write if it has seen the
/// first; if both have to be of one moment, read them in a [transaction](crate::Db::transact).
///
/// **How much.** A batch may have any number of steps. Keys and values together may have 16 MiB, the values
/// that renames move included; beyond it, committing is [`Error::BatchTooLarge`]. Values of more than
/// [`SHORT_VALUE_BYTES_MAX`](crate::SHORT_VALUE_BYTES_MAX) count 16 bytes each: they are kept in memory until
/// the batch is committed, and written then, before it is applied. Other writers wait while more than a few
/// thousand steps, or more than 1 MiB, or steps in more than 64 places far from each other, are applied; and
/// all blobs that such a batch touches are kept in memory meanwhile.
pub struct Batch {
    open: Arc<Open>,
    durability: Durability,
    steps: batch::Batch,
    /// What was wrong with a step when it was added: the first of them.
    misuse: Option<Error>,
}

impl Batch {
    pub(crate) fn new(open: Arc<Open>, durability: Durability) -> Self {
        Batch { open, durability, steps: batch::Batch::default(), misuse: None }
    }

    /// Looks at what a step was given, and adds it if nothing is wrong.
    fn add(
        &mut self,
        tree: &Tree,
        keys: [&[u8]; 2],
        written: Option<&[u8]>,
        add: impl FnOnce(&mut batch::Batch, [u8; 4]),
    ) -> &mut Self {
        let lengths = keys.into_iter().try_for_each(|key| checked(key).map(drop));
        let looked = match written {
            _ if !tree.belongs_to(&self.open.forest) => Err(Error::OtherDatabase),
            Some(value) => lengths
                .and_then(|()| checked_value(value))
                .and_then(|()| self.steps.has_room_for(keys[0].len() + keys[1].len(), value.len())),
            None => lengths,
        };
        match looked {
            Ok(()) => add(&mut self.steps, tree.id_bytes()),
            Err(error) => drop(self.misuse.get_or_insert(error)),
        }
        self
    }

    fn add_put(&mut self, tree: &Tree, key: &[u8], value: &[u8], condition: Condition) -> &mut Self {
        self.add(tree, [key, b""], Some(value), |steps, id| match value.len() > SHORT_VALUE_BYTES_MAX {
            true => steps.put_long([&id, key], value.to_vec(), condition),
            false => steps.put([&id, key], value, condition),
        })
    }

    fn add_guard(&mut self, tree: &Tree, key: &[u8], condition: Condition) -> &mut Self {
        self.add(tree, [key, b""], None, |steps, id| steps.expect([&id, key], condition))
    }

    /// Puts a value, whether the key is there or not.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let versions = db.batch().put(&files, "a", "1").commit()?;
    /// assert_eq!(files.get("a")?.map(|value| value.version()), versions[0]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put(&mut self, tree: &Tree, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> &mut Self {
        self.add_put(tree, key.as_ref(), value.as_ref(), Condition::Always)
    }

    /// Puts a value; the batch is refused if the key is there.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("b", "here")?;
    /// let refused = db.batch().put(&files, "a", "1").put_if_absent(&files, "b", "2").commit();
    /// assert!(matches!(refused, Err(spinney::Error::BatchRefused { index: 1, .. })));
    /// assert!(!files.contains("a")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn put_if_absent(
        &mut self,
        tree: &Tree,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> &mut Self {
        self.add_put(tree, key.as_ref(), value.as_ref(), Condition::Absent)
    }

    /// Puts a value; the batch is refused if the key does not have this version. No key that an earlier step
    /// has put has a version yet.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let version = files.put("a", "1")?;
    /// db.batch().compare_and_put(&files, "a", version, "2").commit()?;
    /// assert!(db.batch().compare_and_put(&files, "a", version, "3").commit().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare_and_put(
        &mut self,
        tree: &Tree,
        key: impl AsRef<[u8]>,
        version: Version,
        value: impl AsRef<[u8]>,
    ) -> &mut Self {
        self.add_put(tree, key.as_ref(), value.as_ref(), Condition::Version(version.number()))
    }

    fn add_remove(&mut self, tree: &Tree, key: &[u8], condition: Condition) -> &mut Self {
        self.add(tree, [key, b""], Some(b""), |steps, id| steps.remove([&id, key], condition))
    }

    /// Removes a key, if it is there.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a", "1")?;
    /// let versions = db.batch().remove(&files, "a").remove(&files, "b").commit()?;
    /// assert!(versions[0].is_some() && versions[1].is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove(&mut self, tree: &Tree, key: impl AsRef<[u8]>) -> &mut Self {
        self.add_remove(tree, key.as_ref(), Condition::Always)
    }

    /// Removes a key; the batch is refused if it does not have this version.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let version = files.put("a", "1")?;
    /// db.batch().remove_if(&files, "a", version).commit()?;
    /// assert!(!files.contains("a")?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_if(&mut self, tree: &Tree, key: impl AsRef<[u8]>, version: Version) -> &mut Self {
        self.add_remove(tree, key.as_ref(), Condition::Version(version.number()))
    }

    /// Moves a value to another key of the same tree. Nothing happens if `from` is not there; the batch is
    /// refused if `to` is.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a", "1")?;
    /// files.put("b", "2")?;
    /// db.batch().rename(&files, "a", "c").rename(&files, "b", "a").rename(&files, "c", "b").commit()?;
    /// assert_eq!(files.get("a")?.as_deref(), Some(&b"2"[..]));
    /// # Ok(())
    /// # }
    /// ```
    pub fn rename(&mut self, tree: &Tree, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> &mut Self {
        let (from, to) = (from.as_ref(), to.as_ref());
        self.add(tree, [from, to], Some(b""), |steps, id| steps.rename([&id, from], [&id, to]))
    }

    /// Only looks: the batch is refused if the key does not have this version.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let version = files.put("a", "1")?;
    /// files.put("a", "2")?;
    /// assert!(db.batch().expect_version(&files, "a", version).put(&files, "b", "").commit().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn expect_version(&mut self, tree: &Tree, key: impl AsRef<[u8]>, version: Version) -> &mut Self {
        self.add_guard(tree, key.as_ref(), Condition::Version(version.number()))
    }

    /// Only looks: the batch is refused if the key is there.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// db.batch().expect_absent(&files, "lock").put(&files, "lock", "me").commit()?;
    /// assert!(db.batch().expect_absent(&files, "lock").put(&files, "lock", "you").commit().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn expect_absent(&mut self, tree: &Tree, key: impl AsRef<[u8]>) -> &mut Self {
        self.add_guard(tree, key.as_ref(), Condition::Absent)
    }

    /// Only looks: the batch is refused if the key is not there.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// assert!(db.batch().expect_present(&files, "a").put(&files, "b", "").commit().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn expect_present(&mut self, tree: &Tree, key: impl AsRef<[u8]>) -> &mut Self {
        self.add_guard(tree, key.as_ref(), Condition::Present)
    }

    /// Only looks: the batch is refused if a key begins with this prefix.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// db.batch().expect_empty(&files, "new/").put(&files, "new/a", "1").commit()?;
    /// assert!(db.batch().expect_empty(&files, "new/").put(&files, "new/b", "2").commit().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn expect_empty(&mut self, tree: &Tree, prefix: impl AsRef<[u8]>) -> &mut Self {
        let prefix = prefix.as_ref();
        self.add(tree, [prefix, b""], None, |steps, id| steps.expect_empty([&id, prefix]))
    }

    /// When the batch is acknowledged, if not as the handle says that it was made with.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// use spinney::Durability;
    /// db.batch().put(&files, "a", "1").durability(Durability::Buffered).commit()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn durability(&mut self, durability: Durability) -> &mut Self {
        self.durability = durability;
        self
    }

    /// How many steps it has.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// assert_eq!(db.batch().put(&files, "a", "1").remove(&files, "b").len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether it has no steps.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// assert!(db.batch().is_empty());
    /// assert!(!db.batch().put(&files, "a", "1").is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_empty(&self) -> bool {
        self.steps.len() == 0
    }

    /// Applies all steps as one. Returns, for each step, the version that it has written: none if it only
    /// looked, or found nothing to remove or rename. A rename to the same key writes nothing.
    ///
    /// The batch is empty afterwards, and can be filled again. After an error it is as it was, also
    /// after [`Error::OutcomeUnknown`], when it may have been applied.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// let mut batch = db.batch();
    /// for number in 0..1000 {
    ///     batch.put(&files, format!("part-{number:04}"), "...");
    /// }
    /// let versions = batch.remove(&files, "missing").commit()?;
    /// assert_eq!(files.get("part-0999")?.map(|value| value.version()), versions[999]);
    /// assert_eq!(versions[1000], None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Nothing was applied after any error but [`Error::OutcomeUnknown`]. [`Error::BatchRefused`] names the
    /// first step whose condition does not hold; [`Error::BatchTooLarge`]; and whatever was wrong with a step
    /// when it was added: [`Error::KeyTooLong`], [`Error::ValueTooLarge`], [`Error::OtherDatabase`]. Such a
    /// batch stays unusable.
    pub fn commit(&mut self) -> Result<Vec<Option<Version>>> {
        if let Some(misuse) = &self.misuse {
            return Err(misuse.again());
        }
        let forest = &self.open.forest;
        let applied = forest.commit(&self.steps).map_err(|refused| match refused {
            Refused::Step { index, reason } => Error::BatchRefused { index, reason },
            Refused::Failed(error) => error,
            Refused::Stale => Error::Conflict { tries: 1 },
        })?;
        let mut first = 0;
        if let Some(appended) = applied.appended {
            forest.store.acknowledge(appended, self.durability).map_err(Error::after_the_fact)?;
            first = appended.seq;
        }
        self.steps.clear();
        let version = |ordinal: u32| Version::from_number(first + u64::from(ordinal));
        Ok(applied.effects.into_iter().map(|effect| effect.map(version)).collect())
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("steps", &self.len()).finish_non_exhaustive()
    }
}
