//! What a check found.

#![forbid(unsafe_code)]

use crate::forest::check::Findings;

/// One violation of the structure.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # use spinney::backend::MemoryBackend;
/// # use std::sync::Arc;
/// let db = spinney::Db::memory();
/// let files = db.tree("files")?;
/// for number in 0..2500 {
///     files.put(format!("{number:04}"), [7; 100])?;
/// }
/// let mut image = db.image()?;
/// image[524_288 + 60 * 4096] ^= 1; // one bit, in page 60 of blob 1
/// let backend = Arc::new(MemoryBackend::from_bytes(&image)?);
/// let problems = spinney::Db::builder().read_only(true).open_backend(backend)?.check()?.problems;
/// assert!(problems[0].blob == 1 && problems[0].text.contains("page 60"), "{problems:?}");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The blob concerned.
    pub blob: u32,
    /// What is wrong with it.
    pub text: String,
}

/// The result of [`Db::check`](crate::Db::check).
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// let db = spinney::Db::memory();
/// db.tree("files")?.put("a/b", "c")?;
/// let report: spinney::CheckReport = db.check()?;
/// assert_eq!((report.keys, report.range_blobs, report.router_blobs), (2, 1, 0));
/// assert!(report.problems.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CheckReport {
    /// Everything that is wrong, up to a hundred entries.
    pub problems: Vec<Problem>,
    /// Keys that were seen, in all trees, names of trees included.
    pub keys: u64,
    /// Blobs that hold keys.
    pub range_blobs: u32,
    /// Blobs that hold separators.
    pub router_blobs: u32,
}

impl CheckReport {
    pub(crate) fn new(findings: Findings) -> Self {
        let problems = findings.problems.into_iter().map(|(blob, text)| Problem { blob, text }).collect();
        CheckReport {
            problems,
            keys: findings.keys,
            range_blobs: findings.range_blobs,
            router_blobs: findings.router_blobs,
        }
    }

    /// Whether nothing is wrong.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// let db = spinney::Db::memory();
    /// db.tree("files")?.put("a/b", "c")?;
    /// let report = db.check()?;
    /// assert!(report.is_clean(), "{:?}", report.problems);
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }
}
