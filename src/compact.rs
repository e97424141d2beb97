//! Packing a database: what it is told, and what it tells.

#![forbid(unsafe_code)]

use crate::db::Db;
use crate::error::Result;

/// How far [`Db::compact_with`] has come.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// let db = spinney::Db::memory();
/// let files = db.tree("files")?;
/// for number in 0..20_000 {
///     files.put(format!("logs/{:05}", number * 7_919 % 20_000), [7; 100])?;
/// }
/// let mut steps: Vec<spinney::CompactProgress> = Vec::new();
/// db.compact_with(|step| {
///     steps.push(step);
///     true
/// })?;
/// assert!(steps.len() > 1 && steps.iter().all(|step| step.done_blobs <= step.total_blobs));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactProgress {
    /// Blobs that were looked at or moved.
    pub done_blobs: u64,
    /// About how many there are to be looked at.
    pub total_blobs: u64,
}

/// What [`Db::compact`] has won.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// let db = spinney::Db::memory();
/// let files = db.tree("files")?;
/// for number in 0..20_000 {
///     files.put(format!("logs/{:05}", number * 7_919 % 20_000), [7; 100])?;
/// }
/// for number in (0..20_000).filter(|number| number % 3 > 0) {
///     files.remove(format!("logs/{number:05}"))?;
/// }
/// let report: spinney::CompactReport = db.compact()?;
/// assert!(report.blobs_after < report.blobs_before, "{report:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Blobs of 512 KiB before, unused ones included: what the file took.
    pub blobs_before: u32,
    /// The same afterwards.
    pub blobs_after: u32,
}

impl Db {
    /// Packs the database: blobs are filled up, garbage goes, and the file becomes as short as it can be.
    /// Others read and write meanwhile.
    ///
    /// It happens by itself where blobs fill up or run empty, so this is for after a large removal, and
    /// before a file is published. It takes about as long as writing everything once.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let files = db.tree("files")?;
    /// for number in 0..20_000 {
    ///     files.put(format!("logs/{:05}", number * 7_919 % 20_000), [7; 100])?;
    /// }
    /// for number in 0..20_000 {
    ///     if number % 100 > 0 {
    ///         files.remove(format!("logs/{number:05}"))?;
    ///     }
    /// }
    /// let report = db.compact()?;
    /// assert!(report.blobs_after <= 3, "{report:?}");
    /// assert_eq!(files.count("")?, 200);
    /// # Ok(())
    /// # }
    /// ```
    pub fn compact(&self) -> Result<CompactReport> {
        self.compact_with(|_| true)
    }

    /// The same; `progress` is told of every step, and may end it with `false`: then what was done so far is
    /// kept.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// let files = db.tree("files")?;
    /// for number in 0..20_000 {
    ///     files.put(format!("logs/{:05}", number * 7_919 % 20_000), [7; 100])?;
    /// }
    /// let mut asked = 0;
    /// db.compact_with(|_| {
    ///     asked += 1;
    ///     false
    /// })?;
    /// assert!(asked <= 2, "it ends as soon as it is told to");
    /// assert_eq!(files.count("logs/")?, 20_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn compact_with(&self, mut progress: impl FnMut(CompactProgress) -> bool) -> Result<CompactReport> {
        let store = &self.forest().store;
        store.allow_write()?;
        let blobs_before = store.length_blobs()?;
        // What a copy of a database has of values that were being written when it was made.
        self.forest().prepare_long()?;
        let mut done_blobs = 0;
        let mut goes_on = true;
        let mut looked_at = || {
            done_blobs += 1;
            let total_blobs = u64::from(blobs_before).max(done_blobs);
            goes_on &= progress(CompactProgress { done_blobs, total_blobs });
            goes_on
        };
        self.forest().pack(&mut looked_at)?;
        // What fell free is free in storage, too: then blobs that move there are written only once.
        store.checkpoint()?;
        self.forest().move_down(&mut looked_at)?;
        store.checkpoint()?;
        store.shrink()?;
        Ok(CompactReport { blobs_before, blobs_after: store.length_blobs()? })
    }
}
