//! Making room for several puts of one batch, before it is applied.
//!
//! What this does changes which keys share a blob, and no key: so it is done beside others, blob by blob, and
//! does no harm if the batch comes to nothing. Where few words are lacking it is done as for a single put.
//! Else the blob is cut where the puts that fit it end, even if it holds no keys yet.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::attempt::puts_of;
use super::resolve::{Change, Resolved, resolve};
use super::trial::Overflow;
use super::{Commit, attempt};
use crate::art::entries::{Entries, Grain};
use crate::blob::key::common_prefix;
use crate::blob::{header, leaf};
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::forest::cut;
use crate::forest::edits::{Outcome, Source};
use crate::forest::lineage::Lineage;
use crate::forest::rearrange::Target;
use crate::forest::route::Route;
use crate::forest::router::fit_base;
use crate::store::latch::Version;

/// Puts that take no more than this part of a blob are few.
const FEW_PARTS: u64 = 4;
/// Where a blob is cut among the puts that fit it, in hundredths: the copy on which that was seen had the
/// shape of what grew, the blob will have that of a rebuild.
const FILL_PERCENT: usize = 97;
/// A cut that leaves less than this part of a blob on its left is not worth its while.
const LEFT_PARTS_MIN: u64 = 4;
/// Preparations that a writer may spoil before the blob is latched first.
const FREE_ATTEMPTS: u32 = 2;

/// In which version a blob was found to have room for which puts: keys of the plan, and lengths of values.
/// What else is in a value makes no difference.
type Proof = (Version, Vec<(u32, u32)>);

/// The proofs of all blobs of a batch.
#[derive(Default)]
pub(super) struct Proofs(HashMap<u32, Proof>);

impl Proofs {
    /// Whether it is proven that the puts among these changes fit.
    pub(super) fn hold(&self, route: &Route<'_>, changes: &[Change<'_>]) -> bool {
        self.0.get(&route.frame.id).is_some_and(|(version, proven)| {
            *version == route.version && sizes_of(changes).eq(proven.iter().copied())
        })
    }
}

/// The puts among some changes, as a proof has them.
fn sizes_of(changes: &[Change<'_>]) -> impl Iterator<Item = (u32, u32)> {
    changes.iter().filter_map(|change| Some((change.key as u32, change.value.as_ref()?.bytes.len() as u32)))
}

/// A key and its value.
type Put<'p> = (&'p [u8], &'p [u8]);

/// What has become of some puts.
enum Settled {
    /// So many of them have room, in one blob.
    Fit { blob: u32, version: Version, count: usize },
    /// Something was done for it.
    Relieved,
    /// Try again.
    Again,
}

impl Commit<'_, '_> {
    /// Makes room for all that the batch is going to put, as things look now.
    pub(super) fn make_room_ahead(&mut self) -> Result<()> {
        loop {
            let emptiness = self.look_under_prefixes()?;
            let drafted = self.groups().and_then(|groups| {
                let blobs = attempt::Blobs { groups: &groups, keys: &self.plan.keys };
                resolve(self.plan, &blobs, &emptiness)
            });
            match drafted {
                Ok(Resolved::Changes(changes, _)) => return self.make_room_for(&changes),
                // Nothing counts yet: the attempt will see to it.
                Ok(Resolved::Refused { .. } | Resolved::TooLarge { .. }) => return Ok(()),
                Err(stop) => self.resume(stop)?,
            }
        }
    }

    /// Makes room for these changes.
    pub(super) fn make_room_for(&mut self, changes: &[Change<'_>]) -> Result<()> {
        let plan = self.plan;
        let puts: Vec<Put<'_>> = puts_of(&plan.keys, changes).collect();
        let keys: Vec<&[u8]> = puts.iter().map(|(key, _)| *key).collect();
        let sizes: Vec<(u32, u32)> = sizes_of(changes).collect();
        let (mut at, mut times) = (0, 0);
        while at < puts.len() {
            match self.settle(&puts[at..], &keys[at..], times)? {
                Settled::Fit { blob, version, count } => {
                    self.proofs.0.insert(blob, (version, sizes[at..at + count].to_vec()));
                    (at, times) = (at + count, 0);
                }
                Settled::Relieved => times += 1,
                Settled::Again => {}
            }
        }
        Ok(())
    }

    fn settle(&mut self, puts: &[Put<'_>], keys: &[&[u8]], times: u32) -> Result<Settled> {
        let forest = self.forest;
        let tried = forest.route_of_some(keys).and_then(|(route, count)| {
            let puts = puts[..count].iter().copied();
            let is_sure = match route.hold() {
                Some(held) if held.frame.is_whole() => forest.surely_fit(&held, route.base, puts.clone())?,
                _ => false,
            };
            let overflow = if is_sure { None } else { forest.try_on_copy(&route, puts)? };
            Ok((route, count, overflow))
        });
        match tried {
            Ok((route, count, None)) => {
                Ok(Settled::Fit { blob: route.frame.id, version: route.version, count })
            }
            Ok((route, count, Some(overflow))) => {
                forest.relieve(&route, &puts[..count], &overflow, times)?;
                Ok(Settled::Relieved)
            }
            Err(stop) => {
                self.resume(stop)?;
                Ok(Settled::Again)
            }
        }
    }
}

/// Where to cut.
struct Cut {
    separator: Vec<u8>,
    /// Entries left of it.
    at: usize,
}

impl Forest {
    /// Makes some room in a blob for puts that do not fit it.
    fn relieve(&self, route: &Route<'_>, puts: &[Put<'_>], overflow: &Overflow, times: u32) -> Result<()> {
        let words = route.frame.words;
        let capacity = u64::from(self.shape.range_words);
        let put_words = |&(key, value): &Put<'_>| {
            leaf::size_words(key.len().saturating_sub(route.base), value.len()) as u64
        };
        let few = puts.iter().map(put_words).sum::<u64>() * FEW_PARTS <= capacity;
        let has_garbage = u64::from(header::garbage_words(words)) * FEW_PARTS >= capacity;
        if times == 0 && (few || has_garbage) {
            return self.make_room(puts[overflow.fitted].0, overflow.shortage, 0);
        }
        self.cut_ahead(puts, overflow.fitted)
    }

    /// Cuts the blob of these puts in two, of which the first `fitted` fit it.
    fn cut_ahead(&self, puts: &[Put<'_>], fitted: usize) -> Result<()> {
        let _structure = self.store.lock_structure();
        let _pinned = self.pin_around(puts[0].0)?;
        let _gate = self.store.gate.enter();
        for attempt in 0.. {
            let lineage = self.lineage(puts[0].0)?;
            let source = self.source(lineage.blob.id, attempt >= FREE_ATTEMPTS)?;
            let mut entries = Entries::new();
            if !self.collect(&mut entries, &source, lineage.span(), Grain::Keys)? {
                continue;
            }
            let count = puts.partition_point(|(key, _)| lineage.hi.as_deref().is_none_or(|hi| *key < hi));
            if count <= fitted {
                // Another thread has cut it meanwhile.
                return Ok(());
            }
            let Some(cut) = self.cut_of(&entries, puts, fitted) else {
                return Err(self.no_arrangement());
            };
            match self.cut_at(&lineage, source, &entries, cut)? {
                Outcome::Interfered => continue,
                Outcome::Done => self.store.counters.splits.add_one(),
                Outcome::DoesNotFit => self.halve(&lineage, &entries, attempt >= FREE_ATTEMPTS)?,
            }
            return Ok(());
        }
        Ok(())
    }

    /// Where to cut so that what fits lies on the left.
    fn cut_of(&self, entries: &Entries<'_>, puts: &[Put<'_>], fitted: usize) -> Option<Cut> {
        let first_right = (fitted * FILL_PERCENT / 100).max(usize::from(fitted > 0));
        let right = puts[first_right].0;
        let at = entries.position(right)?;
        let left_words = cut::words_of(entries, 0..at)
            + puts[..first_right]
                .iter()
                .map(|(key, value)| ((key.len() + value.len()) / 8) as u64)
                .sum::<u64>();
        if entries.len() >= 2 && left_words * LEFT_PARTS_MIN < u64::from(self.shape.range_words) {
            return Some(halved(entries));
        }
        let put_before = first_right.checked_sub(1).map(|index| puts[index].0.to_vec());
        let key_before = at.checked_sub(1).map(|index| entries.key(index));
        match put_before.max(key_before) {
            Some(before) => Some(Cut { separator: right[..common_prefix(&before, right) + 1].to_vec(), at }),
            // The first put does not fit beside the only key, which lies above it.
            None if at < entries.len() => {
                let above = entries.key(at);
                let common = common_prefix(right, &above);
                (common < above.len() && above != right)
                    .then(|| Cut { separator: above[..common + 1].to_vec(), at })
            }
            None => None,
        }
    }

    fn cut_at<'a>(
        &'a self,
        lineage: &Lineage,
        source: Source<'a>,
        entries: &Entries<'_>,
        Cut { separator, at }: Cut,
    ) -> Result<Outcome> {
        let blob = &lineage.blob;
        // It may be as long as a key of the batch, whatever comes of that.
        self.store.note_key_bytes(separator.len());
        let left_base = fit_base(blob.base, &blob.lo, Some(&separator));
        let right_base = fit_base(blob.base, &separator, lineage.hi.as_deref());
        let targets = [
            Target { lo: blob.lo.clone(), base: left_base, part: 0..at },
            Target { lo: separator.into(), base: right_base, part: at..entries.len() },
        ];
        let index = lineage.bottom().map_or(0, |router| router.index);
        self.rearrange(lineage, index, vec![source], entries, &targets)
    }

    /// The way out where a cut has no room for what is left of it.
    fn halve(&self, lineage: &Lineage, entries: &Entries<'_>, latch_first: bool) -> Result<()> {
        if entries.len() < 2 {
            return Err(self.no_arrangement());
        }
        let source = self.source(lineage.blob.id, latch_first)?;
        let mut entries = Entries::new();
        if !self.collect(&mut entries, &source, lineage.span(), Grain::Keys)? || entries.len() < 2 {
            return Ok(());
        }
        let cut = halved(&entries);
        match self.cut_at(lineage, source, &entries, cut)? {
            Outcome::DoesNotFit => Err(self.no_arrangement()),
            _ => Ok(()),
        }
    }

    fn no_arrangement(&self) -> Error {
        Error::OutOfSpace { limit_blobs: self.store.ids.in_use().0 }
    }
}

fn halved(entries: &Entries<'_>) -> Cut {
    let at = cut::halve(entries);
    Cut { separator: entries.separator(at), at }
}
