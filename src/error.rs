//! The one error type.

#![forbid(unsafe_code)]

/// What went wrong, and what to do about it.
///
/// A put that ends with an error has not taken place, with one exception: after [`Error::Poisoned`] nobody
/// knows, and the next opening shows it. Of batches and transactions that is [`Error::OutcomeUnknown`]. A
/// removal or a rename that ends with [`Error::Io`] or [`Error::Corrupt`] may have taken place, because it
/// may have tidied up afterwards.
///
/// ```
/// let db = spinney::Db::memory();
/// let error = db.tree("").expect_err("a name has at least one byte");
/// assert!(matches!(error, spinney::Error::TreeName { .. }));
/// assert_eq!(error.code(), "TreeName");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The key is longer than [`KEY_BYTES_MAX`](crate::KEY_BYTES_MAX).
    #[error(
        "the key has {length_bytes} bytes, the limit is {limit_bytes}: store a shorter path, or a hash of it"
    )]
    KeyTooLong {
        /// Length of the refused key.
        length_bytes: usize,
        /// The longest key that is accepted.
        limit_bytes: usize,
    },
    /// The value is longer than [`VALUE_BYTES_MAX`](crate::VALUE_BYTES_MAX).
    #[error("the value has {length_bytes} bytes, the limit is {limit_bytes}: split it over several keys")]
    ValueTooLarge {
        /// Length of the refused value.
        length_bytes: usize,
        /// The longest value that is accepted.
        limit_bytes: usize,
    },
    /// A tree name must have 1 to [`TREE_NAME_BYTES_MAX`](crate::TREE_NAME_BYTES_MAX) bytes.
    #[error("a tree name has 1 to {limit_bytes} bytes, this one has {length_bytes}")]
    TreeName {
        /// Length of the refused name.
        length_bytes: usize,
        /// The longest name that is accepted.
        limit_bytes: usize,
    },
    /// Four billion trees have been made in this database.
    #[error("no tree id is left: export the database and import it into a new one")]
    TooManyTrees,
    /// A rename found a key at its target, or keys that begin with it.
    #[error("the target of the rename exists: remove it first, or choose another name")]
    TargetExists,
    /// A directory was to be moved into itself.
    #[error("a prefix cannot be renamed to one that begins with it: choose a target outside")]
    RenameIntoItself,
    /// A bulk load met a key that it cannot take. Nothing was loaded.
    #[error("the key {} {reason}: keys are loaded in ascending order, each once", shown(key))]
    LoadRefused {
        /// The key.
        key: Vec<u8>,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Whoever was told of the progress did not want it to go on. Nothing was done.
    #[error("it was ended before it was complete: nothing was done")]
    Cancelled,
    /// The bytes are no Spinney image or file; or there are none, and no database was to be made.
    #[error("not a Spinney database: {reason}")]
    NotSpinney {
        /// What gave it away.
        reason: &'static str,
    },
    /// Written by a later version of this library.
    #[error("format version {found}, this library reads up to {supported}: update the library")]
    NewerFormat {
        /// The version in the file.
        found: u8,
        /// The latest version that this library reads.
        supported: u8,
    },
    /// The image or file ends before its last blob. An image that is too long is refused as this, too.
    #[error(
        "the database has {found_bytes} bytes and should have {expected_bytes}: it was cut off; restore it"
    )]
    Truncated {
        /// Bytes that are there.
        found_bytes: u64,
        /// Bytes that the superblock speaks of.
        expected_bytes: u64,
    },
    /// Stored bytes are not what was written. It is found when the page is read, which may be long after
    /// opening; what lies in other pages can still be read. [`Db::check`](crate::Db::check) reads them all.
    #[error("blob {blob}, page {page} is damaged ({reason}): restore from a backup")]
    Corrupt {
        /// The blob, 512 KiB from offset `blob * 524288`.
        blob: u32,
        /// The page of 4 KiB inside the blob.
        page: u32,
        /// What was seen.
        reason: &'static str,
    },
    /// A write into a database that was opened for reading.
    #[error("the database is open for reading only: open it for writing")]
    ReadOnly,
    /// A tree of this name would have to be made, in a database that was opened for reading.
    #[error("there is no tree {name:?} in a database that is open for reading only: see `Db::trees`")]
    NoSuchTree {
        /// The name that was asked for.
        name: String,
    },
    /// No more blobs can be had.
    #[error("the database cannot grow beyond {limit_blobs} blobs of 512 KiB on this machine")]
    OutOfSpace {
        /// The number of blobs at which growth ended.
        limit_blobs: u32,
    },
    /// Another process, or another opening in this one, has the database open; and has not let go of it
    /// within the time that the options give.
    #[error("the database is open elsewhere: close it there, or open it read-only beside other readers")]
    Locked,
    /// The database was closed through another handle. What is in memory can still be read.
    #[error("the database is closed: open it again")]
    Closed,
    /// A write to the log, or a sync, has failed, so nobody knows what is on the disk, and nothing more is
    /// written. Reads go on. Opening again recovers what was acknowledged, as far as its
    /// [`Durability`](crate::Durability) promises.
    #[error("writing failed before, nothing more is written: close and open the database again ({reason})")]
    Poisoned {
        /// What failed.
        reason: String,
    },
    /// The log is not what was written, before a position up to which it was durable. It is left as it is:
    /// with the right bytes in its place the database can be opened.
    #[error("the log is damaged at position {position} ({reason}): restore from a backup")]
    LogCorrupt {
        /// Offset in the endless log.
        position: u64,
        /// What was seen.
        reason: &'static str,
    },
    /// A file that belongs to a database that was not closed is missing, or belongs to another: mostly
    /// because one of the four files was copied, moved or restored alone.
    #[error("the {file} file is missing or another's, and the database was not closed: put it back")]
    SideFile {
        /// `log`, `ring` or `journal`.
        file: &'static str,
    },
    /// A step of a batch has a condition that does not hold. Nothing of the batch was applied. Read again
    /// what it depends on, and make another one.
    #[error(
        "step {index} of the batch was refused, {reason}: nothing was applied; read again and make another"
    )]
    BatchRefused {
        /// Which step it was, counted from 0 in the order in which they were added.
        index: usize,
        /// What was found.
        reason: &'static str,
    },
    /// All steps of a batch together, and the values that it moves, are too long. Nothing was applied.
    #[error(
        "the batch has {encoded_bytes} bytes, the limit is {limit_bytes}: nothing was applied; make several"
    )]
    BatchTooLarge {
        /// Bytes of all keys and values, and some for each step; of the values that it moves, those up to
        /// where the limit was passed.
        encoded_bytes: usize,
        /// The most that is accepted.
        limit_bytes: usize,
    },
    /// A tree of one database was used in a batch or a transaction of another. Nothing was applied.
    #[error("the tree belongs to another database: take it from the database of the batch or transaction")]
    OtherDatabase,
    /// What a transaction had read was changed by others before it could commit, in every one of its tries.
    /// Nothing was applied. Try again later, or read less in one transaction.
    #[error("others changed what the transaction had read, {tries} times in a row: nothing was applied")]
    Conflict {
        /// How often the transaction was run.
        tries: u32,
    },
    /// What [`Transaction::abort`](crate::Transaction::abort) gives the closure of a transaction to return.
    #[error("the transaction was given up by its own closure: nothing was applied")]
    Aborted,
    /// A batch or transaction was applied and could be read, but writing the log failed before it was
    /// durable, and nothing more is written. Opening the database again shows all of it or nothing.
    #[error(
        "the batch was applied, but nobody knows whether it is stored: open the database again ({reason})"
    )]
    OutcomeUnknown {
        /// What failed.
        reason: String,
    },
    /// More pages have changed since the snapshot was made than
    /// [`Options::snapshot_bytes`](crate::Options::snapshot_bytes) allows to keep. The oldest snapshot ends
    /// then, so that writers can go on.
    #[error("the snapshot is too old: too much has changed since; make a new one, or raise `snapshot_bytes`")]
    SnapshotTooOld,
    /// The log does not go back so far any more. A follower begins anew with a copy of all, for example a
    /// [`Snapshot`](crate::Snapshot), and goes on from its version;
    /// [`Options::keep_changes_bytes`](crate::Options::keep_changes_bytes) says how much is kept.
    #[error(
        "the changes after version {since} are gone, those after {oldest} are there: \
         begin with a copy, or raise `keep_changes_bytes`"
    )]
    ChangesRecycled {
        /// The version after which changes were asked for, or the last one that was read.
        since: u64,
        /// Changes after this version are there.
        oldest: u64,
    },
    /// Changes were asked for after a version that no write has had: the database was restored from an older
    /// backup, or the version is another's. A follower begins anew with a copy of all.
    #[error("no write has version {since} yet, the last one is {last}: begin with a copy")]
    ChangesAhead {
        /// The version after which changes were asked for.
        since: u64,
        /// The version of the last write.
        last: u64,
    },
    /// Only a database in a file, or in another backend, that is open for writing tells its changes: they are
    /// read from its log.
    #[error("there is no log to read changes from: open the database from a file, for writing")]
    NoChanges,
    /// A backup found a file at its path.
    #[error("there is a file at the path of the backup: choose another, or allow to overwrite it")]
    BackupExists,
    /// Pages of a [`FetchedBackend`](crate::backend::FetchedBackend) are not here yet. Nothing is wrong:
    /// fetch what it wants, hand that in, and make the same call again.
    #[error("pages have to be fetched first: fetch what the backend wants, hand it in, and try again")]
    NotFetched,
    /// The object that the database is read from was replaced since it was opened.
    #[error("the database was replaced where it is read from: open it again")]
    Changed,
    /// The backend failed. A put that met it has not taken place; when a full disk has space again, it can be
    /// tried again.
    #[error("reading or writing failed: {0}")]
    Io(#[source] std::io::Error),
}

impl From<std::collections::TryReserveError> for Error {
    fn from(error: std::collections::TryReserveError) -> Self {
        Error::Io(error.into())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        // What a snapshot reads comes through a backend, whose errors are wrapped.
        error.downcast::<Error>().unwrap_or_else(Error::Io)
    }
}

impl Error {
    pub(crate) fn corrupt(blob: u32, reason: &'static str) -> Self {
        Error::Corrupt { blob, page: 0, reason }
    }

    /// What a failed wait for the log means for what was applied before it.
    pub(crate) fn after_the_fact(self) -> Self {
        Error::OutcomeUnknown { reason: self.to_string() }
    }

    /// The same misuse again, for who asks twice.
    pub(crate) fn again(&self) -> Self {
        match *self {
            Error::KeyTooLong { length_bytes, limit_bytes } => {
                Error::KeyTooLong { length_bytes, limit_bytes }
            }
            Error::ValueTooLarge { length_bytes, limit_bytes } => {
                Error::ValueTooLarge { length_bytes, limit_bytes }
            }
            Error::BatchTooLarge { encoded_bytes, limit_bytes } => {
                Error::BatchTooLarge { encoded_bytes, limit_bytes }
            }
            _ => Error::OtherDatabase,
        }
    }

    /// A short, stable name of the kind of error, the same on every platform.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let files = spinney::Db::memory().tree("files")?;
    /// let error = files.put(vec![7; 70_000], "").expect_err("a key has 65000 bytes at most");
    /// assert_eq!(error.code(), "KeyTooLong");
    /// # Ok(())
    /// # }
    /// ```
    pub fn code(&self) -> &'static str {
        match self {
            Error::KeyTooLong { .. } => "KeyTooLong",
            Error::ValueTooLarge { .. } => "ValueTooLarge",
            Error::TreeName { .. } => "TreeName",
            Error::TooManyTrees => "TooManyTrees",
            Error::TargetExists => "TargetExists",
            Error::RenameIntoItself => "RenameIntoItself",
            Error::LoadRefused { .. } => "LoadRefused",
            Error::Cancelled => "Cancelled",
            Error::NotSpinney { .. } => "NotSpinney",
            Error::NewerFormat { .. } => "NewerFormat",
            Error::Truncated { .. } => "Truncated",
            Error::Corrupt { .. } => "Corrupt",
            Error::ReadOnly => "ReadOnly",
            Error::NoSuchTree { .. } => "NoSuchTree",
            Error::OutOfSpace { .. } => "OutOfSpace",
            Error::Locked => "Locked",
            Error::Closed => "Closed",
            Error::Poisoned { .. } => "Poisoned",
            Error::LogCorrupt { .. } => "LogCorrupt",
            Error::SideFile { .. } => "SideFile",
            Error::BatchRefused { .. } => "BatchRefused",
            Error::BatchTooLarge { .. } => "BatchTooLarge",
            Error::OtherDatabase => "OtherDatabase",
            Error::Aborted => "Aborted",
            Error::Conflict { .. } => "Conflict",
            Error::OutcomeUnknown { .. } => "OutcomeUnknown",
            Error::SnapshotTooOld => "SnapshotTooOld",
            Error::ChangesRecycled { .. } => "ChangesRecycled",
            Error::ChangesAhead { .. } => "ChangesAhead",
            Error::NoChanges => "NoChanges",
            Error::BackupExists => "BackupExists",
            Error::NotFetched => "NotFetched",
            Error::Changed => "Changed",
            Error::Io(_) => "Io",
        }
    }
}

/// The result of every call that can fail.
pub type Result<T> = std::result::Result<T, Error>;

/// A key as people read it, or the beginning of a long one.
fn shown(key: &[u8]) -> String {
    const SHOWN_BYTES: usize = 200;
    let text = String::from_utf8_lossy(&key[..key.len().min(SHOWN_BYTES)]).into_owned();
    if key.len() > SHOWN_BYTES { format!("{text:?}...") } else { format!("{text:?}") }
}
