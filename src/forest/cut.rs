//! Where to cut a list of keys in two.

#![forbid(unsafe_code)]

use std::ops::Range;

use crate::art::entries::{Content, Entries};

/// How far from its target a cut may lie for the sake of a shorter separator, in hundredths of the whole.
const TOLERANCE_PERCENT: u64 = 5;

/// Words that an entry will take, roughly: its leaves as they are now, and their part of the node above.
fn entry_words(entries: &Entries<'_>, index: usize) -> u64 {
    let entry = &entries.list[index];
    let leaves = match entry.content {
        Content::Leaf(_) => 1,
        Content::Whole(whole) => whole.count(),
    };
    (entry.leaf_words() + leaves) as u64
}

/// The words of a part of the list, roughly.
pub(crate) fn words_of(entries: &Entries<'_>, part: Range<usize>) -> u64 {
    part.map(|index| entry_words(entries, index)).sum()
}

/// The index before which to cut a list of two or more, so that the words left of it are near half of
/// all: among the cuts within the tolerance the one with the shortest separator, else the nearest.
pub(crate) fn halve(entries: &Entries<'_>) -> usize {
    halve_part(entries, 0..entries.len())
}

/// The same for a part of the list.
pub(crate) fn halve_part(entries: &Entries<'_>, part: Range<usize>) -> usize {
    let target = words_of(entries, part.clone()) / 2;
    cut_near(entries, part, target)
}

/// The same for any number of words that should lie left of the cut.
pub(crate) fn cut_near(entries: &Entries<'_>, part: Range<usize>, target: u64) -> usize {
    let tolerance = target * 2 * TOLERANCE_PERCENT / 100;
    let mut left = 0;
    let mut best: Option<((bool, u32, u64), usize)> = None;
    for index in part.start + 1..part.end {
        left += entry_words(entries, index - 1);
        let distance = left.abs_diff(target);
        let outside = distance > tolerance;
        let separator = if outside { 0 } else { entries.list[index].common + 1 };
        let rank = (outside, separator, distance);
        if best.is_none_or(|(so_far, _)| rank < so_far) {
            best = Some((rank, index));
        }
    }
    best.map_or(part.end, |(_, index)| index)
}
