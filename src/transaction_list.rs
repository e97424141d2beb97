//! A directory as a transaction sees it.

#![forbid(unsafe_code)]

use crate::error::Result;
use crate::forest::scan::successor;
use crate::limits::TREE_ID_BYTES;
use crate::list::{DELIMITER, Entry};
use crate::transaction_scan::TransactionScan;

/// The children of a directory in order; made by [`Transaction::list`](crate::Transaction::list).
///
/// The cost is that of the children, not of the keys below them: behind each directory the way is looked up
/// anew.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let db = spinney::Db::memory();
/// # let files = db.tree("files")?;
/// files.put("a/1", "")?;
/// files.put("a/2", "")?;
/// let children = db.transact(|tx| {
///     tx.put(&files, "b", "")?;
///     let list: spinney::TransactionList = tx.list(&files, "")?;
///     Ok(list.count())
/// })?;
/// assert_eq!(children, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct TransactionList<'t> {
    scan: TransactionScan<'t>,
    prefix_len: usize,
    delimiter: u8,
    done: bool,
}

impl<'t> TransactionList<'t> {
    pub(crate) fn new(scan: TransactionScan<'t>, prefix_len: usize) -> Self {
        TransactionList { scan, prefix_len, delimiter: DELIMITER, done: false }
    }

    /// Another byte than `/` between directories. Call it before the first step.
    ///
    /// ```
    /// # fn main() -> spinney::Result<()> {
    /// # let db = spinney::Db::memory();
    /// # let files = db.tree("files")?;
    /// files.put("a:b", "")?;
    /// let entry = db.transact(|tx| tx.list(&files, "")?.delimiter(b':').next().transpose())?;
    /// assert_eq!(entry.expect("one").name(), b"a:");
    /// # Ok(())
    /// # }
    /// ```
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    fn step(&mut self) -> Result<Option<Entry>> {
        let Some((whole, value)) = self.scan.step()? else {
            return Ok(None);
        };
        let key = &whole[TREE_ID_BYTES..];
        let end = key[self.prefix_len..].iter().position(|&byte| byte == self.delimiter);
        let Some(end) = end else {
            let (key, version) = (key.to_vec(), value.version());
            return Ok(Some(Entry::Key { key, value, version }));
        };
        let directory = &whole[..TREE_ID_BYTES + self.prefix_len + end + 1];
        match successor(directory) {
            Some(behind) => self.scan.skip_to(behind),
            None => self.done = true,
        }
        Ok(Some(Entry::Prefix(directory[TREE_ID_BYTES..].to_vec())))
    }
}

impl Iterator for TransactionList<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let stepped = self.step();
        self.done |= !matches!(stepped, Ok(Some(_)));
        stepped.transpose()
    }
}
