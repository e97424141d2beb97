//! Copying a blob that was built in a scratch frame over another.

#![forbid(unsafe_code)]

use super::header::{self, NODES_AT};
use super::words::{BLOB_WORDS, Ref, Words};

/// Header words that a copy carries over; generation and checksums belong to the place, not the content.
const CARRIED: [Ref; 8] = [0, 1, 3, 4, 5, 6, 8, 9];

/// Makes `target` the same as `source`, whose colour must be that of the target's id. The gap between the
/// regions ends up zero, as always.
pub(crate) fn replace(target: Words<'_>, source: Words<'_>) {
    let formatted = header::magic(target) == header::MAGIC;
    let (old_inner_end, old_leaf_start) = if formatted {
        // A hostile file may say anything here.
        let inner_end = (header::inner_end(target) as usize).min(BLOB_WORDS);
        (inner_end, (header::leaf_start(target) as usize).min(BLOB_WORDS))
    } else {
        (usize::from(NODES_AT), BLOB_WORDS)
    };
    let inner_end = header::inner_end(source) as usize;
    let leaf_start = header::leaf_start(source) as usize;
    for at in CARRIED {
        target.store(at, source.load(at));
    }
    target.note_run(NODES_AT, inner_end.saturating_sub(usize::from(NODES_AT)));
    target.note_run(leaf_start as Ref, BLOB_WORDS.saturating_sub(leaf_start));
    let inner_start = header::inner_start(header::id(source));
    let inner_count = inner_end.saturating_sub(usize::from(inner_start));
    target.copy_unnoted(inner_start, source, inner_start, inner_count);
    target.copy_unnoted(leaf_start as Ref, source, leaf_start as Ref, BLOB_WORDS.saturating_sub(leaf_start));
    // What the old regions held in the new gap. Beyond the gap they overlap what was just copied.
    let gap_from_below = inner_end..old_inner_end.min(leaf_start);
    let gap_from_above = old_leaf_start.max(inner_end)..leaf_start;
    target.zero(gap_from_below.start as Ref, gap_from_below.len());
    target.zero(gap_from_above.start as Ref, gap_from_above.len());
}

/// The same into plain bytes: a blob that was never in storage, without its checksums.
pub(crate) fn write_to(bytes: &mut [u8], source: Words<'_>) {
    bytes.fill(0);
    let inner = usize::from(header::inner_start(header::id(source)))..header::inner_end(source) as usize;
    let leaves = header::leaf_start(source) as usize..BLOB_WORDS;
    for at in CARRIED.into_iter().map(usize::from).chain(inner).chain(leaves) {
        bytes[at * 8..at * 8 + 8].copy_from_slice(&source.load(at as Ref).to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blob::header::BlobKind;
    use crate::blob::words::{NOTE_WORDS as NOTES, PAGE_WORDS, boxed_words};
    use crate::blob::{leaf, space};

    /// Miri looks at fewer words: they are many, and only their addresses differ.
    const STEP: usize = if cfg!(miri) { 61 } else { 1 };

    /// The old inner region may reach far into the place of the new leaves, and the other way round.
    // Not under Miri, where filling two whole blobs three times takes long.
    #[cfg(not(miri))]
    #[test]
    fn old_regions_do_not_wipe_out_new_ones() {
        for (old_inner, new_inner) in [(40_000, 100), (100, 40_000), (60_000, 60_000)] {
            let (target, source) = (boxed_words(), boxed_words());
            let (target, source) = (Words::new(&target), Words::new(&source));
            for (words, inner, fill) in [(target, old_inner, 1), (source, new_inner, 2)] {
                header::format(words, 1, BlobKind::Range);
                let inner_at = space::take_inner(words, inner);
                let leaf_at = space::take_leaf(words, 64_000 - inner);
                for at in (0..inner).map(|i| inner_at + i as u16) {
                    words.store(at, fill);
                }
                for at in (0..64_000 - inner).map(|i| leaf_at + i as u16) {
                    words.store(at, fill);
                }
            }
            replace(target, source);
            let same = |at: usize| target.load(at as Ref) == source.load(at as Ref);
            assert!((0..BLOB_WORDS).all(|at| NOTES.contains(&at) || same(at)));
        }
    }

    #[test]
    fn the_larger_old_content_leaves_no_trace() {
        let (target, source) = (boxed_words(), boxed_words());
        let (target, source) = (Words::new(&target), Words::new(&source));
        header::format(target, 1, BlobKind::Range);
        header::format(source, 1, BlobKind::Range);
        for _ in 0..50 {
            leaf::add(target, b"suffix", leaf::Payload::value(b"value"), 1);
            let at = space::take_inner(target, 9);
            target.store(at, u64::MAX);
        }
        leaf::add(source, b"other", leaf::Payload::value(b"thing"), 2);
        header::set_generation(target, 42);
        let places = (0..BLOB_WORDS).step_by(STEP).filter(|at| !NOTES.contains(at));
        let before: Vec<(usize, u64)> = places.map(|at| (at, target.load(at as Ref))).collect();
        target.forget_dirty_pages();
        replace(target, source);
        let noted = target.dirty_pages();
        for (at, word) in before {
            let is_noted = noted & (1 << (at / PAGE_WORDS)) != 0;
            assert!(is_noted || target.load(at as Ref) == word, "word {at} has changed unnoted");
        }
        for at in (0..BLOB_WORDS).step_by(STEP) {
            let at = at as Ref;
            if at != 2 && !NOTES.contains(&usize::from(at)) {
                assert_eq!(target.load(at), source.load(at), "word {at}");
            }
        }
        assert_eq!(target.load(2), 42);
    }
}
