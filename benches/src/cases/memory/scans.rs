//! Scans: every entry in order, lent or owned.
//!
//! Within the clock only sums are taken, which must agree; key order and full contents are verified outside.

#![forbid(unsafe_code)]

use super::world::World;
use crate::keys::{Keys, Values};
use crate::measure::nanos_per_op;
use crate::stores::{Error, Result, Store};

#[derive(Clone, Copy)]
pub enum ScanForm {
    Lending,
    Owned,
}

/// Nanoseconds per entry.
pub fn time<S: Store>(store: &S, world: &World, form: ScanForm) -> Result<f64> {
    let mut sums = Sums::default();
    let nanos = nanos_per_op(|| {
        match form {
            ScanForm::Lending => store.scan(|key, value| sums.add(key, value))?,
            ScanForm::Owned => store.scan_owned(|key, value| sums.add(&key, value))?,
        }
        Ok::<_, Error>(world.family.len())
    })?;
    if sums != Sums::of(&world.family.sorted) {
        return Err(format!("scan: {sums:?}").into());
    }
    Ok(nanos)
}

/// What a scan must add up to.
#[derive(Default, PartialEq, Eq, Debug)]
struct Sums {
    entries: usize,
    key_bytes: usize,
    ids: u64,
    last_bytes: u64,
}

impl Sums {
    #[inline]
    fn add(&mut self, key: &[u8], value: &[u8]) {
        self.entries += 1;
        self.key_bytes += key.len();
        self.ids = self.ids.wrapping_add(Values::id(value));
        self.last_bytes += last_byte(key);
    }

    fn of(keys: &Keys) -> Self {
        let count = keys.len() as u64;
        Self {
            entries: keys.len(),
            key_bytes: keys.total_bytes(),
            ids: count * count.saturating_sub(1) / 2,
            last_bytes: keys.iter().map(last_byte).sum(),
        }
    }
}

#[inline]
fn last_byte(key: &[u8]) -> u64 {
    u64::from(key.last().copied().unwrap_or(0))
}
