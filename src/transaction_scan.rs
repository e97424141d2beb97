//! A range as a transaction sees it: what is stored, under what it has written itself.

#![forbid(unsafe_code)]

use std::ops::Bound;

use crate::art::cursor::Direction;
use crate::error::Result;
use crate::forest::scan::Side;
use crate::limits::TREE_ID_BYTES;
use crate::transaction::Transaction;
use crate::tree::Pair;
use crate::value::Value;

/// Keys and values in order; made by [`Transaction::scan`] and [`Transaction::range`].
///
/// It sees what the transaction writes while it goes on, if that lies ahead.
///
/// ```
/// # fn main() -> spinney::Result<()> {
/// # let db = spinney::Db::memory();
/// # let files = db.tree("files")?;
/// files.put("a", "1")?;
/// let first = db.transact(|tx| {
///     tx.put(&files, "a", "2")?;
///     let mut scan: spinney::TransactionScan = tx.scan(&files, "")?;
///     scan.next().transpose()
/// })?;
/// assert_eq!(&*first.expect("one key").1, b"2");
/// # Ok(())
/// # }
/// ```
pub struct TransactionScan<'t> {
    tx: &'t Transaction,
    side: Side,
    /// What is stored next: key, value and version. The outer option says whether that is known.
    stored: Option<Option<(Vec<u8>, Value)>>,
    /// Where the writes of the transaction are looked for next.
    from: Bound<Vec<u8>>,
    end: Vec<u8>,
    failed: bool,
}

impl<'t> TransactionScan<'t> {
    pub(crate) fn new(tx: &'t Transaction, (start, end): (Vec<u8>, Vec<u8>)) -> Self {
        let mut side = Side::new(Direction::Forward, start.clone(), end.clone());
        side.keep_notes();
        TransactionScan { tx, side, stored: None, from: Bound::Included(start), end, failed: false }
    }

    /// Goes on at `start`, tree id included.
    pub(crate) fn skip_to(&mut self, start: Vec<u8>) {
        *self = TransactionScan::new(self.tx, (start, std::mem::take(&mut self.end)));
    }

    fn read_stored(&mut self) -> Result<()> {
        if self.stored.is_none() {
            let stepped = self.side.step(&self.tx.open.forest, true);
            self.tx.note(self.side.take_notes())?;
            let mut value = self.side.value().to_vec();
            if self.side.is_pointer() {
                self.tx.read_long(&mut value)?;
            }
            let pair = |version| (self.side.key().to_vec(), Value::new(value, version));
            self.stored = Some(stepped?.map(pair));
        }
        Ok(())
    }

    /// The next key, tree id included, and its value.
    pub(crate) fn step(&mut self) -> Result<Option<Pair>> {
        loop {
            self.read_stored()?;
            let own = self.tx.next_own(self.from.as_ref(), &self.end);
            let stored = self.stored.as_ref().and_then(Option::as_ref).map(|(key, _)| key);
            let takes_own = match (&own, stored) {
                (None, None) => return Ok(None),
                (Some((own, _)), Some(stored)) => own <= stored,
                (own, _) => own.is_some(),
            };
            if !takes_own {
                let Some(Some(pair)) = self.stored.take() else { continue };
                self.from = Bound::Excluded(pair.0.clone());
                return Ok(Some(pair));
            }
            let Some((key, value)) = own else { continue };
            if stored == Some(&key) {
                self.stored = None;
            }
            self.from = Bound::Excluded(key.clone());
            if let Some(value) = value {
                return Ok(Some((key, Value::new(value, 0))));
            }
        }
    }
}

impl Iterator for TransactionScan<'_> {
    type Item = Result<Pair>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let stepped = self.step();
        self.failed = stepped.is_err();
        stepped.map(|found| found.map(|(key, value)| (key[TREE_ID_BYTES..].to_vec(), value))).transpose()
    }
}

impl std::fmt::Debug for TransactionScan<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TransactionScan").finish_non_exhaustive()
    }
}
